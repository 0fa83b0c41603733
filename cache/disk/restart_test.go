// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// awaitIdle waits for the end of an object's fill.
func awaitIdle(t testing.TB, s *Store, key string) {
	t.Helper()
	o, _ := s.Get(key)
	if o == nil {
		t.Fatalf("%s is not in the store", key)
	}
	defer o.Release()
	for {
		o.mu.Lock()
		filling, progress := o.fill != nil, o.progress
		o.mu.Unlock()
		if !filling {
			s.fills.Wait() // the fill used the object, too
			return
		}
		<-progress
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := pattern(20*testBlock+100, 1)
	origin := newOrigin(content)
	s := open(t, dir)
	create(t, s, "whole", origin, 0, -1, sha(content)).Release()
	awaitIdle(t, s, "whole")

	// Of the other object the first blocks arrive before the store is closed.
	slow := newOrigin(content)
	slow.gate = make(chan struct{})
	o := create(t, s, "part", slow, 0, 8*testBlock, nil)
	for range 30 {
		slow.gate <- struct{}{}
	}
	stored := o.Stored()
	o.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if stored == 0 {
		t.Fatal("nothing was stored")
	}

	s = open(t, dir)
	asked := len(origin.asked)
	o, _ = s.Get("whole")
	if o == nil || !o.Whole() {
		t.Fatal("a whole object is lost")
	}
	wantContent(t, o, content)
	if len(origin.asked) != asked {
		t.Error("the origin is asked for a whole object")
	}
	if o, _ = s.Get("part"); o == nil || o.Whole() {
		t.Fatal("the blocks of an object are lost")
	}
	rest := newOrigin(content)
	s.Resume(o, rest)
	wantContent(t, o, content)
	awaitIdle(t, s, "part")
	if max := int64(len(content)) - stored; rest.sent > max {
		t.Errorf("%d bytes came from the origin, only %d were missing", rest.sent, max)
	}
}

func TestBadBlockIsFetchedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := pattern(10*testBlock, 2)
	s := open(t, dir, func(o *Options) { o.Parallel = 1 })
	slow := newOrigin(content)
	slow.gate = make(chan struct{})
	o := create(t, s, "key", slow, 0, 8*testBlock, nil)
	for range 12 {
		slow.gate <- struct{}{}
	}
	id := o.id
	o.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, dataPath(id)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{content[7] ^ 1}, 7); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s = open(t, dir)
	o, _ = s.Get("key")
	s.Resume(o, newOrigin(content))
	wantContent(t, o, content)
	if s.Stats().BadBlocks != 1 {
		t.Errorf("%d bad blocks are counted, want 1", s.Stats().BadBlocks)
	}
}

// TestWrongDigest wants the last block withheld from who reads along, and the object gone.
func TestWrongDigest(t *testing.T) {
	t.Parallel()
	content := pattern(5*testBlock+1, 3)
	s := open(t, t.TempDir())
	o := create(t, s, "key", newOrigin(content), 0, -1, sha([]byte("other")))
	got, err := readAll(t, o)
	if !errors.Is(err, ErrBad) || len(got) != 5*testBlock || !bytes.Equal(got, content[:len(got)]) {
		t.Errorf("read %d bytes, %v; want all but the last block and ErrBad", len(got), err)
	}
	if o, _ := s.Get("key"); o != nil {
		t.Error("the object is still there")
	}
}

func TestChangedOrigin(t *testing.T) {
	t.Parallel()
	content := pattern(100*testBlock, 4)
	s := open(t, t.TempDir())
	origin := newOrigin(content)
	origin.gate = make(chan struct{})
	o := create(t, s, "key", origin, 0, 8*testBlock, nil)
	origin.mu.Lock()
	origin.tag, origin.content = `"2"`, pattern(100*testBlock, 5)
	origin.mu.Unlock()
	close(origin.gate)
	got, err := readAll(t, o)
	if !errors.Is(err, ErrChanged) || !bytes.Equal(got, content[:len(got)]) {
		t.Errorf("read %d bytes, %v; want the old object's beginning and ErrChanged", len(got), err)
	}
	if o, _ := s.Get("key"); o != nil {
		t.Error("an object that cannot be completed is found again")
	}
}

func TestEviction(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = 10 * testBlock })
	for _, key := range []string{"a", "b", "c"} {
		wantContent(t, create(t, s, key, newOrigin(pattern(3*testBlock, 6)), 0, -1, nil), pattern(3*testBlock, 6))
		awaitIdle(t, s, key)
	}
	a, _ := s.Get("a") // used last
	a.Release()
	s.Pin([]string{"b"})
	create(t, s, "d", newOrigin(pattern(3*testBlock, 7)), 0, -1, nil).Release()
	for key, want := range map[string]bool{"a": true, "b": true, "c": false, "d": true} {
		o, _ := s.Get(key)
		if (o != nil) != want {
			t.Errorf("%s is there: %v, want %v", key, o != nil, want)
		}
		if o != nil {
			o.Release()
		}
	}
	part, _ := newOrigin(pattern(11*testBlock, 8)).Open(t.Context(), cache.Ask{})
	if _, err := s.Create(New{Key: "e", Part: part}); !errors.Is(err, ErrNotStored) {
		t.Errorf("an object larger than the store: %v, want ErrNotStored", err)
	}
}

func TestOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	if s, err := Open(dir, Options{MaxSize: 1 << 30}); err == nil {
		s.Close()
		t.Error("a directory can be had twice")
	}
}

// TestShorterFile cuts the file of an object while nobody has the store. The object is not whole any more, whatever its
// sidecar says, and what is missing is fetched.
func TestShorterFile(t *testing.T) {
	t.Parallel()
	content := pattern(8*testBlock, 98)
	s := open(t, t.TempDir())
	id := keep(t, s, "key", content)
	s.Close()
	if err := os.Truncate(filepath.Join(s.dir, dataPath(id)), 5*testBlock); err != nil {
		t.Fatal(err)
	}
	s = open(t, s.dir)
	o, _ := s.Get("key")
	if o == nil {
		return // it may be lost
	}
	if o.Whole() {
		t.Error("an object is whole whose file is short")
	}
	s.Resume(o, strongOrigin(content))
	wantContent(t, o, content)
}
