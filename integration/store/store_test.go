// SPDX-License-Identifier: Apache-2.0

//go:build integration

package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/disk"
)

const block = 64 << 10

// origin sends its content, and calls half when half of it was sent for the first time.
type origin struct {
	content []byte
	half    func()
}

func (o *origin) Open(_ context.Context, ask cache.Ask) (*cache.Part, error) {
	last := int64(len(o.content))
	if ask.Length > 0 {
		last = min(last, ask.First+ask.Length)
	}
	return &cache.Part{Body: io.NopCloser(&body{o, bytes.NewReader(o.content[:last]), ask.First}), First: ask.First, Length: last - ask.First,
		Size: int64(len(o.content)), Validator: cache.Validator{ETag: `"1"`}, Ranges: true, Status: 200}, nil
}

type body struct {
	o  *origin
	r  *bytes.Reader
	at int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.ReadAt(p[:min(len(p), block)], b.at)
	b.at += int64(n)
	if b.o.half != nil && b.at >= int64(len(b.o.content))/2 {
		b.o.half()
		b.o.half = nil
	}
	return n, err
}

func pattern(size int, seed byte) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// tmpfs mounts a file system of 8 MiB.
func tmpfs(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("only root can mount a file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// open opens a store whose fills run one after the other, so that half of an object is half of what was sent.
func open(t *testing.T, dir string) *disk.Store {
	t.Helper()
	s, err := disk.Open(filepath.Join(dir, "store"), disk.Options{MaxSize: 1 << 30, Block: block, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func create(s *disk.Store, key string, o *origin) (*disk.Object, error) {
	part, err := o.Open(context.Background(), cache.Ask{Length: 8 * block})
	if err != nil {
		return nil, err
	}
	return s.Create(disk.New{Key: key, Origin: o, Part: part})
}

func wantContent(t *testing.T, o *disk.Object, err error, want []byte) {
	t.Helper()
	if o == nil || err != nil {
		t.Fatalf("no object: %v", err)
	}
	r := disk.NewReader(t.Context(), o)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes of %d, %v", len(got), len(want), err)
	}
}

// whole stores an object and closes the store, which waits for what is still to be written of it.
func whole(t *testing.T, dir, key string, content []byte) {
	t.Helper()
	s := open(t, dir)
	o, err := create(s, key, &origin{content: content})
	wantContent(t, o, err, content)
	for {
		o, _ := s.Get(key)
		filling, _ := o.Filling()
		o.Release()
		if !filling {
			break
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// fill takes all room that a file system has.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, rand.NewChaCha8([32]byte{9})); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestDiskFull has others fill the disk in the middle of an object. Its readers get the rest from the origin; what was
// stored before stays, after a restart on the full disk, too.
func TestDiskFull(t *testing.T) {
	dir := tmpfs(t)
	kept, content := pattern(1<<20, 1), pattern(4<<20, 2)
	whole(t, dir, "kept", kept)
	s := open(t, dir)
	junk := filepath.Join(dir, "junk")
	o, err := create(s, "key", &origin{content: content, half: func() { fill(t, junk) }})
	wantContent(t, o, err, content)
	if s.Stats().NotStored == 0 {
		t.Error("nothing was lost by the full disk: the test does not test it")
	}
	if o, _ := s.Get("key"); o != nil {
		t.Error("an object is found that could not be stored")
		o.Release()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fill(t, junk+"2") // what the object had
	s = open(t, dir)
	o, _ = s.Get("kept")
	if o == nil {
		t.Fatal("what was stored is evicted because others filled the disk")
	}
	wantContent(t, o, nil, kept)
	if err := errors.Join(os.Remove(junk), os.Remove(junk+"2")); err != nil {
		t.Fatal(err)
	}
	o, err = create(s, "key", &origin{content: content})
	wantContent(t, o, err, content)
}

// TestMakesRoom wants an object that is not used to go before the disk is full.
func TestMakesRoom(t *testing.T) {
	dir := tmpfs(t)
	whole(t, dir, "old", pattern(5<<20, 3))
	s := open(t, dir)
	content := pattern(5<<20, 4)
	o, err := create(s, "new", &origin{content: content})
	wantContent(t, o, err, content)
	if o, _ := s.Get("old"); o != nil {
		t.Error("10 MiB are in a file system of 8")
		o.Release()
	}
}

// TestReservedIsTaken has an object come for which there is room, and in its middle another for which there would be, too, if
// the first did not need its own.
func TestReservedIsTaken(t *testing.T) {
	s := open(t, tmpfs(t))
	first, second := pattern(5<<20, 7), pattern(5<<20, 8)
	var err error
	o, errFirst := create(s, "first", &origin{content: first, half: func() { _, err = create(s, "second", &origin{content: second}) }})
	wantContent(t, o, errFirst, first)
	if !errors.Is(err, disk.ErrNotStored) {
		t.Errorf("the second is taken for one that has room: %v", err)
	}
	if n := s.Stats().NotStored; n != 1 {
		t.Errorf("%d objects were not stored, want the second alone: the first had its room", n)
	}
}

// TestReadOnly makes the file system read-only under a store. What is in it can be read, the rest comes from the origin.
func TestReadOnly(t *testing.T) {
	dir := tmpfs(t)
	kept := pattern(1<<20, 5)
	whole(t, dir, "kept", kept)
	s := open(t, dir)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatalf("the file system cannot be made read-only under an idle store: %v", err)
	}
	for range 2 {
		o, _ := s.Get("kept")
		wantContent(t, o, nil, kept)
	}
	if _, err := create(s, "new", &origin{content: kept}); !errors.Is(err, disk.ErrNotStored) {
		t.Errorf("%v, want ErrNotStored", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s, err := disk.Open(filepath.Join(dir, "store"), disk.Options{MaxSize: 1 << 30}); err == nil {
		t.Error("a store opens that cannot be written to")
		s.Close()
	}
}
