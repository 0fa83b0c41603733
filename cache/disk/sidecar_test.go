// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// keep fills an object and returns its id.
func keep(t testing.TB, s *Store, key string, content []byte) string {
	t.Helper()
	o := createFrom(t, s, key, strongOrigin(content), cache.Ask{}, sha(content))
	defer o.Release()
	for {
		o.mu.Lock()
		filling, progress := o.fill != nil, o.progress
		o.mu.Unlock()
		if !filling {
			return o.id
		}
		<-progress
	}
}

func touch(t testing.TB, s *Store, id string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(s.dir, sidecarPath(id)), when, when); err != nil {
		t.Fatal(err)
	}
}

func wantKey(t testing.TB, s *Store, key, id string) {
	t.Helper()
	o, _ := s.Get(key)
	if o == nil {
		t.Errorf("%s leads nowhere", key)
		return
	}
	defer o.Release()
	if o.id != id {
		t.Errorf("%s leads to another object", key)
	}
}

// reopen opens a copy of a store's directory as it is now: what a process finds after the other one was killed.
func reopen(t testing.TB, s *Store, change ...func(*Options)) *Store {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	for id := range s.objects {
		if info, err := os.Stat(filepath.Join(s.dir, sidecarPath(id))); err == nil {
			touch(t, &Store{dir: dir}, id, info.ModTime())
		}
	}
	return open(t, dir, change...)
}

// TestMovedKeyStaysMoved moves a key away from an object that has another and is used later. Its sidecar still had the
// key, and the last one used had it after a restart: an image that was replaced came back.
func TestMovedKeyStaysMoved(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	before := keep(t, s, "a", pattern(testBlock, 31))
	o, _ := s.Get("a")
	s.SetKey("b", nil, o)
	o.Release()
	after := keep(t, s, "a", pattern(testBlock, 32))
	touch(t, s, before, time.Now().Add(time.Hour))
	s = reopen(t, s)
	wantKey(t, s, "a", after)
	wantKey(t, s, "b", before)
}

// TestDroppedObjectStaysAway kills a process while somebody still reads an object whose key leads to another.
func TestDroppedObjectStaysAway(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	before := keep(t, s, "a", pattern(testBlock, 33))
	reader, _ := s.Get("a")
	defer reader.Release()
	after := keep(t, s, "a", pattern(testBlock, 34))
	touch(t, s, after, time.Now().Add(-time.Hour)) // a clock that was set back
	again := reopen(t, s)
	wantKey(t, again, "a", after)
	if len(again.objects) != 1 {
		t.Errorf("%d objects after a restart, want 1", len(again.objects))
	}
	if _, err := os.Stat(filepath.Join(again.dir, dataPath(before))); err == nil {
		t.Error("the bytes of an object that was dropped stay on disk")
	}
	wantContent(t, func() *Object { o, _ := again.Get("a"); return o }(), pattern(testBlock, 34))
}

// TestSidecarIsTheLatest sets keys from many goroutines while the object becomes whole. Who had decided what to write
// before another, but wrote after it, took back a key or the wholeness.
func TestSidecarIsTheLatest(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := open(t, t.TempDir())
		content := pattern(4*testBlock, 35)
		o := createFrom(t, s, "key", strongOrigin(content), cache.Ask{}, sha(content))
		var clients sync.WaitGroup
		const keys = 16
		for i := range keys {
			clients.Go(func() { s.SetKey(fmt.Sprint(i), json.RawMessage(`{"i":1}`), o) })
		}
		clients.Wait()
		settle(s)
		o.Release()
		s.Close()
		s = open(t, s.dir)
		if o, _ = s.Get("key"); o == nil || !o.Whole() {
			t.Fatal("the object is not whole after a restart")
		}
		if n := len(o.keys); n != keys+1 {
			t.Errorf("%d keys lead to the object after a restart, want %d", n, keys+1)
		}
		o.Release()
	}
}

// TestDamagedSidecar flips bits of sidecars and cuts them. An object may be lost by that, but no key may lead to it that
// did not, and no other object may go.
func TestDamagedSidecar(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = 100 * testBlock })
	content := pattern(2*testBlock, 36)
	id := keep(t, s, "key", content)
	other := keep(t, s, "other", content)
	touch(t, s, other, time.Now().Add(-time.Hour)) // so that it would be evicted first
	s.Close()
	name := filepath.Join(s.dir, sidecarPath(id))
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(filepath.Dir(name))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	damaged := []string{"", "{}", "null", string(text) + " ", strings.Replace(string(text), `"format":1`, `"format":2`, 1)}
	for i := range text {
		flipped := []byte(string(text))
		flipped[i] ^= 1 << (i % 7)
		damaged = append(damaged, string(flipped))
		if i%16 == 0 {
			damaged = append(damaged, string(text[:i]))
		}
	}
	for _, text := range damaged {
		for _, ending := range []string{"", ".sums"} { // they go with the sidecar
			b, err := os.ReadFile(filepath.Join(saved, id+ending))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(name), id+ending), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, s.dir, func(o *Options) { o.MaxSize = 100 * testBlock })
		if keys := s.Keys(); len(keys) != 1 || keys["other"] != int64(len(content)) {
			t.Fatalf("the keys are %v after a restart with the sidecar %q", keys, text)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
