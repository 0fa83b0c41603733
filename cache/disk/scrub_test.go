// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// damage flips a bit of an object.
func damage(t *testing.T, s *Store, id string, content []byte, at int) {
	t.Helper()
	bad := bytes.Clone(content)
	bad[at] ^= 1
	write(t, filepath.Join(s.dir, dataPath(id)), string(bad))
}

// TestBad finds objects bad, by their blocks and by their digest. Who is told so finds them gone, and who was reading one
// gets no more of it.
func TestBad(t *testing.T) {
	t.Parallel()
	type report struct {
		id   string
		keys []string
		why  string
	}
	var mu sync.Mutex
	var reports []report
	content := pattern(10*testBlock, 88)
	s := open(t, t.TempDir(), func(o *Options) {
		o.OnBad = func(id string, keys []string, why string) {
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, report{id, keys, why})
		}
	})
	id := keep(t, s, "one", content)
	o, _ := s.Get("one")
	s.SetKey("another", nil, o)
	r := NewReader(t.Context(), o)
	if _, err := io.CopyN(io.Discard, r, testBlock); err != nil {
		t.Fatal(err)
	}
	damage(t, s, id, content, 5*testBlock)
	if checked, bad, err := s.Scrub(t.Context(), nil); checked != 1 || bad != 1 || err != nil {
		t.Errorf("%d are checked, %d are bad, %v", checked, bad, err)
	}
	if n, err := io.Copy(io.Discard, r); n > 0 || !errors.Is(err, ErrBad) {
		t.Errorf("a reader gets %d bytes more of a bad object, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	o = create(t, s, "digest", newOrigin(content), 0, 0, sha([]byte("other")))
	digest := o.id
	if _, err := readAll(t, o); !errors.Is(err, ErrBad) {
		t.Errorf("the error is %v, want ErrBad", err)
	}
	settle(s)
	mu.Lock()
	defer mu.Unlock()
	if len(reports) != 2 || reports[0].id != id || !slices.Equal(reports[0].keys, []string{"another", "one"}) || reports[0].why == "" ||
		reports[1].id != digest || !slices.Equal(reports[1].keys, []string{"digest"}) || s.Stats().BadObjects != 2 {
		t.Errorf("the reports are %v", reports)
	}
	consistent(t, s)
}

// TestScrubBesideOthers checks a store in which an object is being filled, another one goes while it is its turn, and the
// caller leaves.
func TestScrubBesideOthers(t *testing.T) {
	t.Parallel()
	content := pattern(10*testBlock, 89)
	s := open(t, t.TempDir())
	for _, key := range []string{"a", "b", "c"} {
		keep(t, s, key, content)
	}
	h := gated(content)
	growing := create(t, s, "growing", h, 0, 0, sha(content))
	for range 30 { // some blocks are there
		h.gate <- struct{}{}
	}
	steps := 0
	checked, bad, err := s.Scrub(t.Context(), func(done, of int) {
		if steps++; done != steps || of != 4 {
			t.Errorf("%d of %d after %d objects", done, of, steps)
		}
		s.RemoveKey("a")
		s.RemoveKey("b")
	})
	if checked < 1 || checked > 2 || bad != 0 || err != nil || steps != 4 { // it may begin with one of those that go, or with the growing one
		t.Errorf("%d are checked, %d are bad, %v", checked, bad, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if checked, bad, err := s.Scrub(ctx, nil); checked != 0 || bad != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d are checked, %d are bad, %v; want the context's end", checked, bad, err)
	}
	close(h.gate)
	wantContent(t, growing, content)
	settle(s)
	consistent(t, s)
	s.Close()
	if _, _, err := s.Scrub(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("the error is %v, want ErrClosed", err)
	}
}

// TestInfos looks at objects in each state.
func TestInfos(t *testing.T) {
	t.Parallel()
	content := pattern(10*testBlock+5, 90)
	s := open(t, t.TempDir())
	keep(t, s, "whole", content)
	s.Pin([]string{"whole"})
	o := createFrom(t, s, "part", strongOrigin(content, cut, refused), cache.Ask{}, nil)
	o.Release()
	settle(s)
	h := gated(content)
	growing := create(t, s, "growing", h, 0, 8*testBlock, nil)
	for range 30 {
		h.gate <- struct{}{}
	}
	infos := s.Infos()
	if len(infos) != 3 {
		t.Fatalf("there are %d objects", len(infos))
	}
	size := int64(len(content))
	for i, want := range []Info{
		{Keys: []string{"growing"}, Size: size, State: Filling, Readers: 1},
		{Keys: []string{"part"}, Size: size, State: Partial, Problem: "the origin answers with forbidden"},
		{Keys: []string{"whole"}, Size: size, State: Whole, Digest: sha(content).String(), Pinned: true},
	} {
		got := infos[i]
		some := got.Stored > 0 && got.Stored < size
		if !slices.Equal(got.Keys, want.Keys) || got.Size != size || got.State != want.State || got.Readers != want.Readers || got.Digest != want.Digest ||
			got.Pinned != want.Pinned || got.Problem != want.Problem || some == (want.State == Whole) || got.LastUse.IsZero() || got.ID == "" || got.Block != testBlock {
			t.Errorf("%+v, want %+v", got, want)
		}
		if f := got.Fill; (f != nil) != (want.State == Filling) || f != nil && (f.Begun.IsZero() || f.Streams < 1) {
			t.Errorf("%s: the fill is %+v", got.Keys, f)
		}
	}
	close(h.gate)
	wantContent(t, growing, content)
}

// TestMeter measures what comes at one rate, at another, and not at all.
func TestMeter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	m := newMeter(now)
	run := func(seconds int, bytes int64) {
		for range seconds {
			now = now.Add(time.Second)
			m.add(bytes, now)
		}
	}
	run(2, 100)
	if got := m.rate(now); got != 100 {
		t.Errorf("at the beginning %v, want 100", got)
	}
	run(20, 100)
	if got := m.rate(now); got < 80 || got > 120 {
		t.Errorf("after a while %v, want about 100", got)
	}
	run(20, 1000)
	if got := m.rate(now); got < 800 || got > 1200 {
		t.Errorf("ten times as fast %v, want about 1000", got)
	}
	now = now.Add(1000 * time.Second)
	if got := m.rate(now); got > 10 {
		t.Errorf("after a stall %v, want hardly anything", got)
	}
}

// TestSampling has a disk that rots while nobody has the store. Who opens it looks at a block of each of some objects.
func TestSampling(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	content := pattern(testBlock, 94)
	bad, good := keep(t, s, "bad", content), keep(t, s, "good", pattern(testBlock, 95))
	s.Close()
	damage(t, s, bad, content, 7)
	var told []string
	s = open(t, s.dir, func(o *Options) { o.OnBad = func(id string, _ []string, _ string) { told = append(told, id) } })
	if o, _ := s.Get("bad"); o != nil {
		t.Error("a bad object is given out")
		o.Release()
	}
	wantKey(t, s, "good", good)
	if !slices.Equal(told, []string{bad}) {
		t.Errorf("%q are reported, want %s", told, bad)
	}
}

// TestQuarantineIsBounded has more bad objects than are kept to be looked at.
func TestQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	var last string
	for i := range maxQuarantine + 2 {
		content := pattern(2*testBlock, uint64(96+i))
		last = keep(t, s, "key", content)
		damage(t, s, last, content, 7)
		if _, bad, err := s.Scrub(t.Context(), nil); bad != 1 || err != nil {
			t.Fatalf("%d are bad, %v", bad, err)
		}
		for _, ending := range []string{"", ".sums", ".json"} {
			when := time.Unix(1_700_000_000+int64(i), 0)
			if err := os.Chtimes(filepath.Join(s.dir, "quarantine", last+ending), when, when); err != nil && ending == "" {
				t.Errorf("a bad object is not kept: %v", err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "quarantine", "*"))
	if err != nil || len(files) > 3*maxQuarantine || !slices.Contains(files, filepath.Join(s.dir, "quarantine", last)) {
		t.Errorf("%d files are kept, want at most %d, and the newest among them; %v", len(files), 3*maxQuarantine, err)
	}
}
