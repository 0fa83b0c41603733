// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// prepare makes the directory and finds out whether a store can be in it.
func (s *Store) prepare() (err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("%w; give a directory that can be written", err)
	}
	if s.root, err = os.OpenRoot(s.dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = s.root.Close()
			if s.lock != nil {
				_ = s.lock.Close()
			}
		}
	}()
	// It is not opened for writing, or the file system could not be made read-only.
	if s.lock, err = s.root.OpenFile("lock", os.O_RDONLY|os.O_CREATE, 0o644); err != nil {
		return fmt.Errorf("%w; give a directory that can be written", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another process has it (%w); give each edge a directory of its own", err)
	}
	if err := s.root.Mkdir("objects", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; give a directory that can be written", err)
	}
	return s.probe()
}

// probe tries what the store cannot do without.
func (s *Store) probe() error {
	const name, far = "objects/probe", 8 << 20
	f, err := s.root.Create(name)
	if err != nil {
		return fmt.Errorf("%w; give a directory that can be written", err)
	}
	defer s.root.Remove(name + ".renamed")
	defer f.Close()
	_, err = f.WriteAt([]byte{1}, far)
	if errors.Is(err, syscall.ENOSPC) {
		return s.root.Rename(name, name+".renamed") // what is there can be read, and makes room when evicted
	}
	if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Blocks*512 > far/2 {
		return errors.New("its file system has no sparse files; give a directory on ext4, XFS, Btrfs or ZFS")
	}
	if err := s.root.Rename(name, name+".renamed"); err != nil {
		return fmt.Errorf("%w; give a directory on a file system that can rename", err)
	}
	return nil
}

// free is how many bytes the file system has left for us.
func (s *Store) free() (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * stat.Bsize, nil
}
