// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ironic-edge/ironic-edge/cache"
)

// gated is an origin that sends after a byte was put into its gate, or for ever after it was closed.
func gated(content []byte) *testOrigin {
	o := newOrigin(content)
	o.gate = make(chan struct{})
	return o
}

// TestRemovedWhileItGrows removes an object of unknown length while it is filled. What it reserved from then on was never
// given back.
func TestRemovedWhileItGrows(t *testing.T) {
	t.Parallel()
	content := pattern(10*testBlock, 41)
	s := open(t, t.TempDir())
	h := gated(content)
	h.noLength, h.noRanges = true, true
	o := create(t, s, "key", h, 0, 0, nil)
	s.RemoveKey("key")
	close(h.gate)
	wantContent(t, o, content)
	settle(s)
	if used := s.Stats().Bytes; used != 0 {
		t.Errorf("%d bytes are taken by nothing", used)
	}
}

// TestReadersTakeRoom wants the bytes of an object that was replaced counted while somebody reads it: they are on disk.
func TestReadersTakeRoom(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = 10 * testBlock })
	old := pattern(6*testBlock, 42)
	keep(t, s, "key", old)
	reader, _ := s.Get("key")
	keep(t, s, "key", pattern(3*testBlock, 43))
	part, _ := strongOrigin(pattern(5*testBlock, 44)).Open(t.Context(), cache.Ask{})
	if _, err := s.Create(New{Key: "other", Part: part}); !errors.Is(err, ErrNotStored) {
		t.Errorf("%v, want ErrNotStored: 9 of 10 blocks are on disk", err)
	}
	wantContent(t, reader, old) // and releases it
	settle(s)
	if used := s.Stats().Bytes; used != 3*testBlock {
		t.Errorf("%d bytes are taken, want those of the new object", used)
	}
	keep(t, s, "other", pattern(5*testBlock, 44))
}

// TestNobodyFillsForNobody drops an object that is being filled. Its fill would bring bytes that nobody can read.
func TestNobodyFillsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		for _, first := range []bool{true, false} { // the key goes first, or the last reader
			h := gated(pattern(10*testBlock, 45))
			o := create(t, s, "key", h, 0, 0, nil)
			if first {
				s.RemoveKey("key")
				o.Release()
			} else {
				o.Release()
				s.RemoveKey("key")
			}
			settle(s) // a deadlock if the fill waits for bytes
			if st := s.Stats(); st.Bytes != 0 || st.Filling != 0 {
				t.Errorf("%d bytes are taken and %d objects filled", st.Bytes, st.Filling)
			}
		}
	})
}

// TestGrowingEvicts lets an object of unknown length take the room of others, and end where there is none.
func TestGrowingEvicts(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = 10 * testBlock })
	for i := range 3 {
		keep(t, s, fmt.Sprint(i), pattern(3*testBlock, 46))
	}
	s.Pin([]string{"2"})
	h := newOrigin(pattern(6*testBlock, 47))
	h.noLength, h.noRanges = true, true
	wantContent(t, create(t, s, "fits", h, 0, 0, nil), h.content)
	settle(s)
	if keys := s.Keys(); len(keys) != 2 || keys["fits"] != 6*testBlock || keys["2"] != 3*testBlock {
		t.Errorf("the keys are %v", keys)
	}
	h = newOrigin(pattern(8*testBlock, 48))
	h.noLength, h.noRanges = true, true
	wantContent(t, create(t, s, "does not", h, 0, 0, nil), h.content) // from the origin
	settle(s)
	if o, _ := s.Get("does not"); o != nil {
		t.Error("an object is kept that has no room")
	}
	if used := s.Stats().Bytes; used > 10*testBlock {
		t.Errorf("%d bytes are taken", used)
	}
	consistent(t, s)
}

// TestManyCreate wants the limit kept by many who create at once.
func TestManyCreate(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = 10 * testBlock })
	var clients sync.WaitGroup
	for i := range 30 {
		clients.Go(func() {
			content := pattern(1+i*testBlock/4, uint64(i))
			part, err := strongOrigin(content).Open(t.Context(), cache.Ask{})
			if err != nil {
				t.Error(err)
			}
			o, err := s.Create(New{Key: fmt.Sprint(i % 7), Origin: strongOrigin(content), Part: part})
			if errors.Is(err, ErrNotStored) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			if used := s.Stats().Bytes; used > 10*testBlock {
				t.Errorf("%d bytes are taken", used)
			}
			wantContent(t, o, content)
		})
	}
	clients.Wait()
	settle(s)
	consistent(t, s)
	for key := range s.Keys() {
		s.RemoveKey(key)
	}
	settle(s)
	if used := s.Stats().Bytes; used != 0 {
		t.Errorf("%d bytes are taken by nothing", used)
	}
}

// TestHugeLength has an origin that says that an object has more bytes than anything can have.
func TestHugeLength(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	keep(t, s, "kept", pattern(testBlock, 52))
	for _, size := range []int64{1 << 31, 1 << 50, all} {
		part, _ := strongOrigin(pattern(10, 1)).Open(t.Context(), cache.Ask{})
		part.Size = size
		if _, err := s.Create(New{Key: "key", Part: part}); !errors.Is(err, ErrNotStored) {
			t.Errorf("%d bytes: %v, want ErrNotStored", size, err)
		}
		h := gated(pattern(2*testBlock, 1))
		h.noLength, h.noRanges, h.cutAfter = true, true, testBlock
		o := create(t, s, "key", h, 0, 0, nil)
		h.mu.Lock()
		h.noLength, h.size = false, size
		h.mu.Unlock()
		close(h.gate)
		if _, err := o.AwaitSize(t.Context()); !errors.Is(err, ErrNotStored) {
			t.Errorf("%d bytes: %v, want ErrNotStored", size, err)
		}
		o.Release()
		settle(s)
	}
	if keys := s.Keys(); len(keys) != 1 {
		t.Errorf("the keys are %v", keys)
	}
	consistent(t, s)
}

// TestFullDisk has a file system with less room than is to be left to others. What is stored can be read; what is not
// comes from the origin.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	content := pattern(6*testBlock, 49)
	s := open(t, t.TempDir())
	keep(t, s, "whole", content)
	h := strongOrigin(content, cut, refused)
	createFrom(t, s, "part", h, cache.Ask{}, nil).Release()
	settle(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, s.dir)
	whole, _ := s.Get("whole")
	part, _ := s.Get("part")
	s.SetLimits(1<<30, all/4)
	wantContent(t, whole, content)
	s.Resume(part, h)
	wantContent(t, part, content)
	settle(s)
	if o, _ := s.Get("part"); o == nil {
		t.Error("an object is lost though the disk may have room again")
	} else {
		s.SetLimits(1<<30, 0)
		s.Resume(o, h)
		wantContent(t, o, content)
	}
	settle(s)
	s.SetLimits(1<<30, all/4) // evicts
	if n := len(s.Keys()); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, s.dir, func(o *Options) { o.MinFree = all / 4 })
}

// TestOldBytesToTheEnd replaces what a key leads to under readers of every kind.
func TestOldBytesToTheEnd(t *testing.T) {
	t.Parallel()
	old, content := pattern(20*testBlock, 50), pattern(20*testBlock, 51)
	for _, whole := range []bool{true, false} {
		s := open(t, t.TempDir())
		h := gated(old)
		o := create(t, s, "key", h, 0, 0, nil)
		if whole {
			close(h.gate)
			settle(s)
		}
		r := NewReader(t.Context(), o)
		keep(t, s, "key", content)
		if !whole {
			close(h.gate)
		}
		known := newVersions(old)
		if !readSome(t, r, known, 0, all) {
			t.Error("the old object cannot be read to its end")
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		var sent recorder
		for sent.n < len(old) {
			if _, err := r.SendFile(&sent, all); err != nil {
				t.Fatal(err)
			}
		}
		if !known.fit(sent.bytes, 0) {
			t.Error("SendFile sends other bytes")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		o, _ = s.Get("key")
		wantContent(t, o, content)
	}
}

// TestReplacedIsResumed has an origin that refuses in the middle of an object that was replaced. Who reads it, as a node
// does that boots from it, can have it filled to its end; no one else finds it.
func TestReplacedIsResumed(t *testing.T) {
	t.Parallel()
	content := pattern(20*testBlock, 52)
	s := open(t, t.TempDir())
	h := strongOrigin(content, cut, refused)
	o := createFrom(t, s, "key", h, cache.Ask{}, sha(content))
	s.mu.Lock()
	o.identity, s.identities["content"] = "content", o
	s.mu.Unlock()
	settle(s)
	keep(t, s, "key", pattern(testBlock, 53))
	if again := s.Find("content"); again != nil {
		t.Error("an object that was dropped is found by its identity")
	}
	s.Resume(o, h)
	wantContent(t, o, content)
	settle(s)
	consistent(t, s)
	if st := s.Stats(); st.Bytes != testBlock || st.Objects != 1 {
		t.Errorf("%d objects take %d bytes", st.Objects, st.Bytes)
	}
	if names, _ := filepath.Glob(s.dir + "/objects/*/*"); len(names) != 3 {
		t.Errorf("the files are %v", names)
	}
}

// recorder is a connection.
type recorder struct {
	bytes []byte
	n     int
}

func (r *recorder) ReadFrom(from io.Reader) (int64, error) {
	b, err := io.ReadAll(from)
	r.bytes = append(r.bytes, b...)
	r.n += len(b)
	return int64(len(b)), err
}
