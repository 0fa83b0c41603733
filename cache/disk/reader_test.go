// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// unstored makes an object of which the store has only the beginning: it grows beyond its limit.
func unstored(t testing.TB, h *hostile) *Reader {
	t.Helper()
	s := open(t, t.TempDir())
	part, err := (&hostile{content: h.content, validator: h.validator, ranges: h.ranges}).Open(s.ctx, cache.Ask{Length: 3 * testBlock})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Create(New{Key: "key", Origin: &full{h}, Part: part})
	if err != nil {
		t.Fatal(err)
	}
	settle(s)
	o.origin = h
	r := NewReader(t.Context(), o)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// full is an origin whose second answer finds the disk full.
type full struct{ *hostile }

func (*full) Open(context.Context, cache.Ask) (*cache.Part, error) {
	return nil, &storeError{errors.New("no space left on device")}
}

// TestReadDirect reads on from the origin where the store has no more.
func TestReadDirect(t *testing.T) {
	t.Parallel()
	content := pattern(20*testBlock, 61)
	for _, faults := range [][]fault{nil, {fewer, fewerOdd, fewer}, {askew, earlier}, {unranged}, {withEOF}, {noSize}, {chunked}, {short}} {
		r := unstored(t, strongOrigin(content, faults...))
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%v: read %d bytes, %v", faults, len(got), err)
		}
	}
	for _, faults := range [][]fault{{cut}, {fewer, renamed}, {grown}, {refused}, {fewer, gone}} {
		r := unstored(t, strongOrigin(content, faults...))
		got, err := io.ReadAll(r)
		if err == nil || !bytes.Equal(got, content[:len(got)]) {
			t.Errorf("%v: read %d bytes, %v; want some true ones and an error", faults, len(got), err)
		}
	}
}

// TestReadDirectWeak wants no bytes of two answers, when nothing says that they are of one representation.
func TestReadDirectWeak(t *testing.T) {
	t.Parallel()
	content, other := pattern(20*testBlock, 62), pattern(20*testBlock, 63)
	for _, v := range []cache.Validator{validators[1], validators[2], validators[4]} {
		h := &hostile{content: content, validator: v, ranges: true}
		r := unstored(t, h)
		h.change(other, v)
		got, _ := io.ReadAll(r)
		if !newVersions(content, other).fit(got, 0) {
			t.Errorf("%v: bytes of two contents in one", v)
		}
	}
}

// closings counts the bodies that are open.
type closings struct {
	cache.Origin
	open int
}

type closing struct {
	io.ReadCloser
	c *closings
}

func (c closing) Close() error {
	c.c.open--
	return c.ReadCloser.Close()
}

func (c *closings) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	part, err := c.Origin.Open(ctx, ask)
	if changed := (*cache.ChangedError)(nil); errors.As(err, &changed) && changed.Part != nil {
		c.open++
		changed.Part.Body = closing{changed.Part.Body, c}
	}
	if err == nil {
		c.open++
		part.Body = closing{part.Body, c}
	}
	return part, err
}

// TestReadDirectCloses wants each body closed, that of another representation, too.
func TestReadDirectCloses(t *testing.T) {
	t.Parallel()
	content := pattern(20*testBlock, 64)
	for _, faults := range [][]fault{nil, {cut}, {fewer, fewer, gone}, {gone}, {renamed}, {grown}} {
		r := unstored(t, strongOrigin(content, faults...))
		c := &closings{Origin: r.o.origin}
		r.o.origin = c
		_, _ = io.ReadAll(r)
		r.closeDirect()
		if c.open != 0 {
			t.Errorf("%v: %d bodies are open", faults, c.open)
		}
	}
}

// TestAwaitFar waits for more than there can be. The sum of both overflowed, and what was there was not seen.
func TestAwaitFar(t *testing.T) {
	t.Parallel()
	content := pattern(4*testBlock, 65)
	s := open(t, t.TempDir())
	h := gated(content)
	o := create(t, s, "key", h, 0, 0, nil)
	defer o.Release()
	for range 10 {
		h.gate <- struct{}{}
	}
	if n, err := o.Await(t.Context(), testBlock+1, math.MaxInt64); n <= 0 || n > int64(len(content)) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	for _, want := range []int64{0, -1} {
		if n, err := o.Await(t.Context(), 1, want); n != 0 || err != nil {
			t.Errorf("%d bytes of %d, %v", n, want, err)
		}
	}
}

// TestFileCutUnderReaders cuts a file whose object is whole. Readers get an error, and SendFile no endless nothing.
func TestFileCutUnderReaders(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	id := keep(t, s, "key", pattern(4*testBlock, 66))
	o, _ := s.Get("key")
	r := NewReader(t.Context(), o)
	defer r.Close()
	if err := os.Truncate(filepath.Join(s.dir, dataPath(id)), testBlock); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != testBlock {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n, err := r.SendFile(&recorder{}, all); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := r.Seek(0, 7); err == nil {
		t.Error("a seek from nowhere")
	}
}

// TestReadAfterClose closes the store under readers. They read on in what is there, and do not wait for the rest.
func TestReadAfterClose(t *testing.T) {
	t.Parallel()
	content := pattern(4*testBlock, 67)
	for _, whole := range []bool{true, false} {
		s := open(t, t.TempDir())
		h := gated(content)
		o := create(t, s, "key", h, 0, 0, nil)
		if whole {
			close(h.gate)
			settle(s)
		} else {
			for range 10 {
				h.gate <- struct{}{}
			}
		}
		r := NewReader(t.Context(), o)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(r)
		if !bytes.Equal(got, content[:len(got)]) || len(got) < testBlock || whole != (err == nil) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		s.RemoveKey("key")
		s.SetKey("key", nil, o)
		if o, _ := s.Get("key"); o != nil || s.Find("") != nil {
			t.Error("a closed store gives an object")
		}
	}
}

// TestCloseDoesNotWait closes a store whose first answer stalls. Its context is not the store's.
func TestCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	h := gated(pattern(4*testBlock, 68))
	part, err := h.Open(context.WithoutCancel(t.Context()), cache.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Create(New{Key: "key", Origin: h, Part: part})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	o.Release()
}
