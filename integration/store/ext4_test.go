// SPDX-License-Identifier: Apache-2.0

//go:build integration

package store

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache/disk"
)

// mount mounts the file system in a file. For ten minutes it brings nothing to the disk that nobody wants there, and does not
// guess that who renames a file wants it there (ext4(5)).
func mount(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, "mount", "-o", "loop,commit=600,noauto_da_alloc", image, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	return dir
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// format makes a file system in a file, which takes little room.
func format(t *testing.T, size int64, options ...string) (image string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("only root can mount a file system")
	}
	image = filepath.Join(t.TempDir(), "image")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", append(options, "-q", image)...)
	return image
}

// TestNoSparseFiles has a file system of which a file with one byte takes as much as one without a hole: its clusters are
// large.
func TestNoSparseFiles(t *testing.T) {
	dir := mount(t, format(t, 2<<30, "-O", "bigalloc", "-C", "16777216"))
	s, err := disk.Open(filepath.Join(dir, "store"), disk.Options{MaxSize: 1 << 30})
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no sparse files") || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want an error that names the directory and says what is missing", err)
	}
}

// TestPowerCut looks at a disk as it is when the power fails as soon as an object's fill has ended: the object is on it, and
// said to be whole.
func TestPowerCut(t *testing.T) {
	image, cut := format(t, 64<<20), filepath.Join(t.TempDir(), "cut")
	s := open(t, mount(t, image))
	content := pattern(5<<20+77, 6)
	o, err := create(s, "key", &origin{content: content})
	if err != nil {
		t.Fatal(err)
	}
	for {
		changed := o.Changed()
		if filling, _ := o.Filling(); !filling {
			break
		}
		<-changed
	}
	if !o.Whole() {
		t.Fatal("the object is not whole")
	}
	copyFile(t, image, cut)
	o.Release()

	after, err := disk.Open(filepath.Join(mount(t, cut), "store"), disk.Options{MaxSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	})
	o, _ = after.Get("key")
	if o == nil {
		t.Fatal("the object is lost")
	}
	if !o.Whole() {
		t.Errorf("%d bytes of %d are there, and the object is not whole", o.Stored(), o.Size())
	}
	wantContent(t, o, nil, content)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
}
