// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"fmt"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestTinyObjects makes many objects of a byte. Only their bytes counted, so there could be any number of them.
func TestTinyObjects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ block, size, most int64 }{{testBlock, 10 * testBlock, 10}, {1 << 20, 2 << 20, 32}} {
		limits := func(o *Options) { o.Block, o.MaxSize = tt.block, tt.size }
		s := open(t, t.TempDir(), limits)
		for i := range tt.most + 5 {
			keep(t, s, fmt.Sprint(i), []byte{byte(i)})
		}
		if st := s.Stats(); st.Objects != tt.most || st.Bytes != tt.size {
			t.Errorf("%d objects take %d bytes, want %d and %d", st.Objects, st.Bytes, tt.most, tt.size)
		}
		settle(s)
		consistent(t, s)
		again := reopen(t, s, limits, func(o *Options) { o.MaxSize -= testBlock })
		if st := again.Stats(); st.Objects != tt.most-1 {
			t.Errorf("%d objects are there after a restart with less room, want %d", st.Objects, tt.most-1)
		}
		settle(again)
		consistent(t, again)
	}
}

// TestMostObjects has more objects than a store may have, though there is room for them.
func TestMostObjects(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.mu.Lock()
	s.most = 5
	s.mu.Unlock()
	s.Pin([]string{"1"})
	keep(t, s, "0", pattern(testBlock, 0))
	used, _ := s.Get("0")
	for i := 1; i < 12; i++ {
		keep(t, s, fmt.Sprint(i), pattern(testBlock, uint64(i)))
	}
	for i := range 12 {
		o, _ := s.Get(fmt.Sprint(i))
		if want := i < 2 || i > 8; (o != nil) != want {
			t.Errorf("%d is there: %v, want %v", i, o != nil, want)
		}
		if o != nil {
			o.Release()
		}
	}
	used.Release()
	s.Pin([]string{"0", "1", "9", "10", "11"})
	keep(t, s, "more", pattern(testBlock, 1)) // it is never refused
	settle(s)
	consistent(t, s)
	for size, want := range map[int64]int{1: 1 << 10, 1 << 30: 1 << 10, 10 << 30: 10 << 10, 200 << 30: 1 << 16, all: 1 << 16} {
		if got := objectsIn(size); got != want {
			t.Errorf("in %d bytes are %d objects, want %d", size, got, want)
		}
	}
}

// TestMostKeys leads more keys to an object than it may have. What is pinned stays.
func TestMostKeys(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	keep(t, s, "first", pattern(testBlock, 1))
	s.Pin([]string{"first"})
	o, _ := s.Get("first")
	defer o.Release()
	s.mu.Lock()
	for i := range 2 * maxKeys {
		key := fmt.Sprint(i)
		s.setKeyLocked(key, nil, o)
		if s.keys[key] != o {
			t.Errorf("%s does not lead to its object", key)
		}
	}
	if len(o.keys) != maxKeys || len(s.keys) != maxKeys || s.keys["first"] != o {
		t.Errorf("%d keys lead to the object, %d are in the index, want %d, the pinned one among them", len(o.keys), len(s.keys), maxKeys)
	}
	s.mu.Unlock()
}

// TestSetFills changes what new objects and fills are like. What is there stays as it is and can be read.
func TestSetFills(t *testing.T) {
	t.Parallel()
	content := pattern(40*testBlock, 3)
	s := open(t, t.TempDir())
	keep(t, s, "old", content)
	half := createFrom(t, s, "half", strongOrigin(content, cut, refused), cache.Ask{}, sha(content))
	settle(s)
	s.SetFills(4*testBlock, 7)
	h := gated(content)
	o := create(t, s, "new", h, 0, 8*testBlock, sha(content))
	part, err := h.Open(s.ctx, cache.Ask{First: testBlock, Length: testBlock}) // asked for with the old block in mind
	if err != nil {
		t.Fatal(err)
	}
	askew, err := s.Create(New{Key: "askew", Origin: newOrigin(content), Part: part, Digest: sha(content)})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, askew, content)
	if o.fill.parallel != 7 {
		t.Errorf("a new fill has %d streams", o.fill.parallel)
	}
	close(h.gate)
	wantContent(t, o, content)
	s.Resume(half, newOrigin(content)) // whose tag is that of the other
	wantContent(t, half, content)
	settle(s)
	consistent(t, s)
	again := reopen(t, s)
	for key, block := range map[string]int64{"old": testBlock, "half": testBlock, "new": 4 * testBlock, "askew": 4 * testBlock} {
		o, _ := again.Get(key)
		if o == nil || !o.Whole() || o.block != block {
			t.Errorf("%s is not as it was: %v", key, o)
			continue
		}
		wantContent(t, o, content)
	}
	if _, bad, err := again.Scrub(t.Context(), nil); bad > 0 || err != nil {
		t.Errorf("%d are bad, %v", bad, err)
	}
}
