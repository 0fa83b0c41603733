// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestForeignFiles opens a directory in which others have files. They stay, and the store opens: one whose name was a
// single letter was the end of the process.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	content := pattern(2*testBlock, 81)
	id := keep(t, s, "key", content)
	s.Close()
	foreign := []string{"readme", "objects/readme", "objects/ab/a.json", "objects/ab/.json", "objects/ab/x", "objects/ab/name.json",
		"objects/ab/ab.tar.gz", "objects/ab/d/file", "objects/abc/" + id + ".json", "objects/zz/" + id + ".json",
		"objects/ab/ab" + strings.Repeat("Z", 30) + ".json", "objects/ab/ab" + strings.Repeat("0", 30) + ".txt",
		"objects/ab/cd" + strings.Repeat("0", 30) + ".json"}
	for _, name := range foreign {
		write(t, filepath.Join(s.dir, name), "not ours")
	}
	ours := []string{id[:2] + "/" + id + ".json.new", "ab/ab" + strings.Repeat("0", 30), "ab/ab" + strings.Repeat("1", 30) + ".sums",
		"ab/ab" + strings.Repeat("2", 30) + ".json"}
	for _, name := range ours {
		write(t, filepath.Join(s.dir, "objects", name), "left by a process that was killed")
	}
	s = open(t, s.dir)
	for _, name := range foreign {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range ours {
		if _, err := os.Stat(filepath.Join(s.dir, "objects", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s stays: %v", name, err)
		}
	}
	o, _ := s.Get("key")
	wantContent(t, o, content)
}

// TestDamagedFiles damages what an object consists of while nobody has the store. What is served afterwards is right.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	content := pattern(10*testBlock+5, 82)
	for _, whole := range []bool{true, false} {
		for name, harm := range map[string]func(name string) error{
			"data cut":       func(name string) error { return os.Truncate(name, 3*testBlock+1) },
			"data longer":    func(name string) error { return os.Truncate(name, 20*testBlock) },
			"data empty":     func(name string) error { return os.Truncate(name, 0) },
			"data gone":      os.Remove,
			"data a folder":  func(name string) error { return errors.Join(os.Remove(name), os.Mkdir(name, 0o755)) },
			"sums cut":       func(name string) error { return os.Truncate(name+".sums", 3*sumSize+3) },
			"sums longer":    func(name string) error { return os.Truncate(name+".sums", 100*sumSize) },
			"sums gone":      func(name string) error { return os.Remove(name + ".sums") },
			"sums of others": func(name string) error { return os.WriteFile(name+".sums", pattern(200, 3), 0o600) },
			"sidecar gone":   func(name string) error { return os.Remove(name + ".json") },
			"no right": func(name string) error {
				return errors.Join(os.Chmod(name, 0), os.Chmod(name+".sums", 0), os.Chmod(name+".json", 0))
			},
		} {
			t.Run(fmt.Sprint(name, whole), func(t *testing.T) {
				t.Parallel()
				s := open(t, t.TempDir())
				h := strongOrigin(content, cut, refused)
				if whole {
					h.faults = nil
				}
				o := createFrom(t, s, "key", h, cache.Ask{}, sha(content))
				o.Release()
				settle(s)
				s.Close()
				if err := harm(filepath.Join(s.dir, dataPath(o.id))); err != nil {
					t.Fatal(err)
				}
				s = open(t, s.dir)
				if _, _, err := s.Scrub(t.Context(), nil); err != nil {
					t.Error(err)
				}
				o, _ = s.Get("key")
				if o == nil { // as a miss
					o = createFrom(t, s, "key", h, cache.Ask{}, sha(content))
				}
				s.Resume(o, h)
				wantContent(t, o, content)
				settle(s)
				consistent(t, s)
			})
		}
	}
}

// TestDirectoryRemoved removes the directory, and what is in it, under a store. Nobody gets wrong bytes, and where it can
// the store goes on.
func TestDirectoryRemoved(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{true, false} {
		s := open(t, t.TempDir()+"/store")
		content := pattern(3*testBlock, 83)
		keep(t, s, "key", content)
		keep(t, s, "other", content)
		reader, _ := s.Get("key")
		name := filepath.Join(s.dir, "objects")
		if whole {
			name = s.dir
		}
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		wantContent(t, reader, content)
		for _, key := range []string{"key", "other"} {
			if o, _ := s.Get(key); o != nil {
				t.Error("an object without files is given")
			}
		}
		part, _ := strongOrigin(content).Open(t.Context(), cache.Ask{})
		o, err := s.Create(New{Key: "new", Origin: strongOrigin(content), Part: part})
		if whole && !errors.Is(err, ErrNotStored) || !whole && err != nil {
			t.Errorf("the directory is gone: %v, create: %v", whole, err)
		}
		if err == nil {
			wantContent(t, o, content)
		}
		settle(s)
		consistent(t, s)
	}
}

// TestRenameFails has directories in the places of sidecars.
func TestRenameFails(t *testing.T) {
	t.Parallel()
	content := pattern(8*testBlock, 84)
	s := open(t, t.TempDir())
	h := gated(content)
	o := create(t, s, "key", h, 0, 0, sha(content))
	name := filepath.Join(s.dir, sidecarPath(o.id))
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	write(t, name+"/file", "in the way")
	close(h.gate)
	wantContent(t, o, content)
	settle(s)
	if o, _ = s.Get("key"); o == nil || !o.Whole() {
		t.Fatal("an object is lost because its sidecar cannot be written")
	}
	s.SetKey("another", nil, o)
	o.Release()
	s.Close()
	s = open(t, s.dir)
	if keys := s.Keys(); len(keys) != 0 {
		t.Errorf("the keys are %v after a restart", keys)
	}
	if matches, _ := filepath.Glob(s.dir + "/objects/*/*.new"); len(matches) > 0 {
		t.Error(matches)
	}
}

// TestPassingTrouble cannot open an object's file for a while. The object is not lost by that.
func TestPassingTrouble(t *testing.T) {
	t.Parallel()
	content := pattern(3*testBlock, 85)
	s := open(t, t.TempDir())
	name := filepath.Join(s.dir, dataPath(keep(t, s, "key", content)))
	if err := errors.Join(os.Rename(name, name+".away"), os.Symlink(filepath.Base(name), name)); err != nil { // ELOOP
		t.Fatal(err)
	}
	if o, _ := s.Get("key"); o != nil {
		t.Error("an object is given that cannot be opened")
		o.Release()
	}
	if err := os.Rename(name+".away", name); err != nil {
		t.Fatal(err)
	}
	o, _ := s.Get("key")
	if o == nil {
		t.Fatal("the object is lost")
	}
	wantContent(t, o, content)
}

// TestClockSetBack uses an object that was used in the future. After a restart it is as old as its use.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	content := pattern(testBlock, 86)
	id := keep(t, s, "key", content)
	touch(t, s, id, time.Now().Add(1000*time.Hour))
	s.Close()
	s = open(t, s.dir)
	o, _ := s.Get("key")
	wantContent(t, o, content)
	info, err := os.Stat(filepath.Join(s.dir, sidecarPath(id)))
	if err != nil || time.Until(info.ModTime()) > time.Minute {
		t.Errorf("the last use is in the future: %v, %v", info.ModTime(), err)
	}
	touch(t, s, id, time.Unix(0, 0))
	s.Close()
	s = open(t, s.dir)
	o, _ = s.Get("key")
	wantContent(t, o, content)
}

// TestLowerLimits opens a store with room for less than is in it. What was used last stays, and an object that is larger
// than all of it does not drive out the others.
func TestLowerLimits(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for i, blocks := range []int{2, 3, 4, 20} {
		id := keep(t, s, fmt.Sprint(i), pattern(blocks*testBlock, 87))
		touch(t, s, id, time.Unix(int64(1000*i), 0))
	}
	for blocks, want := range map[int64][]string{100: {"0", "1", "2", "3"}, 27: {"1", "2", "3"}, 25: {"2", "3"}, 19: {"0", "1", "2"},
		8: {"1", "2"}, 6: {"2"}, 1: nil} {
		again := reopen(t, s, func(o *Options) { o.MaxSize = blocks * testBlock })
		if got := slices.Sorted(maps.Keys(again.Keys())); !slices.Equal(got, want) {
			t.Errorf("in %d blocks are %v, want %v", blocks, got, want)
		}
		settle(again)
		consistent(t, again)
	}
}

// TestLookingIsNoUse checks objects. The one that was not used for longest is still the first to go: a start used to make
// it one of the last used, and to write that down.
func TestLookingIsNoUse(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for i := range 5 {
		touch(t, s, keep(t, s, fmt.Sprint(i), pattern(testBlock, 89)), time.Unix(int64(1000*i), 0))
	}
	s.Close()
	s = open(t, s.dir)
	settle(s) // it has looked at some
	if _, _, err := s.Scrub(t.Context(), nil); err != nil {
		t.Error(err)
	}
	s.SetLimits(3*testBlock, 0)
	s.Close()
	s = open(t, s.dir)
	if got := slices.Sorted(maps.Keys(s.Keys())); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("left are %v, want those used last", got)
	}
	if oldest := s.Stats().OldestUse; !oldest.Equal(time.Unix(2000, 0)) {
		t.Errorf("the oldest was used at %v", oldest)
	}
}

// TestScrub flips a bit of a whole object.
func TestScrub(t *testing.T) {
	t.Parallel()
	content := pattern(10*testBlock, 88)
	s := open(t, t.TempDir())
	id := keep(t, s, "bad", content)
	keep(t, s, "good", content)
	damage(t, s, id, content, 5*testBlock)
	if checked, n, err := s.Scrub(t.Context(), nil); checked != 2 || n != 1 || err != nil {
		t.Errorf("%d are checked, %d are bad, %v", checked, n, err)
	}
	if keys := s.Keys(); len(keys) != 1 || keys["good"] == 0 {
		t.Errorf("the keys are %v", keys)
	}
	settle(s)
	for _, ending := range []string{"", ".sums", ".json"} {
		if _, err := os.Stat(filepath.Join(s.dir, "quarantine", id+ending)); err != nil {
			t.Error(err)
		}
	}
	consistent(t, s)
}
