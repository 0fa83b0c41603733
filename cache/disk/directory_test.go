// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestUnusableDirectory has something in the place of what a store needs. Root may write everywhere, so nothing is said of
// permissions.
func TestUnusableDirectory(t *testing.T) {
	t.Parallel()
	for inTheWay, tt := range map[string]struct{ below, remedy string }{
		"":                      {"", "give a directory that can be written"},
		"lock":                  {"/directory", "give a directory that can be written"},
		"objects":               {"", "give a directory that can be written"},
		"objects/probe":         {"/directory", "give a directory that can be written"},
		"objects/probe.renamed": {"/directory", "give a directory on a file system that can rename"},
	} {
		dir := filepath.Join(t.TempDir(), "store")
		write(t, filepath.Join(dir, inTheWay)+tt.below, "in the way")
		s, err := Open(dir, Options{MaxSize: 1 << 20, Block: testBlock})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.remedy) || !strings.Contains(err.Error(), "store "+dir) {
			t.Errorf("%s: %v, want an error that names the directory and says: %s", inTheWay, err, tt.remedy)
		}
		if err := os.RemoveAll(filepath.Join(dir, inTheWay)); err != nil {
			t.Fatal(err)
		}
		open(t, dir) // what was taken has been given back
	}
}

// TestNoWayOut has symbolic links that lead out of the directory in the places of its own. Nothing is written or read there.
func TestNoWayOut(t *testing.T) {
	t.Parallel()
	content := pattern(4*testBlock, 85)
	s := open(t, t.TempDir())
	id := keep(t, s, "key", content)
	s.Close()
	outside := t.TempDir()
	if err := os.CopyFS(outside, os.DirFS(filepath.Join(s.dir, "objects", id[:2]))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "objects", id[:2])); err != nil {
		t.Fatal(err)
	}
	for n := range 256 {
		if err := os.Symlink(outside, filepath.Join(s.dir, "objects", fmt.Sprintf("%02x", n))); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, s.dir)
	if o, _ := s.Get("key"); o != nil {
		t.Error("what is outside is an object")
		o.Release()
	}
	origin := newOrigin(content)
	part, err := origin.Open(t.Context(), cache.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := s.Create(New{Key: "new", Origin: origin, Part: part}); !errors.Is(err, ErrNotStored) {
		t.Errorf("Create = %v, want ErrNotStored", err)
		o.Release()
	}
	if after, err := os.ReadDir(outside); err != nil || len(after) != len(before) {
		t.Errorf("outside there are %d files, there were %d; %v", len(after), len(before), err)
	}
}
