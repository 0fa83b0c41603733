// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// use takes an object for the store itself, which is no use that keeps it from eviction later.
func (s *Store) use(o *Object) bool {
	s.mu.Lock()
	used := s.useLocked(o)
	s.mu.Unlock()
	return used && s.opened(o)
}

// useLocked counts a user of an object, who is to open it next.
func (s *Store) useLocked(o *Object) bool {
	if o.removed || s.closed {
		return false
	}
	o.users++
	return true
}

// take takes an object for a client, who asked for it.
func (s *Store) take(o *Object) bool {
	if !s.opened(o) {
		return false
	}
	now := time.Now()
	s.mu.Lock()
	o.lastUse.Store(now.Unix())
	if !o.removed {
		s.recent.MoveToFront(o.element)
	}
	touch := now.Sub(o.touched).Abs() > time.Minute // it is in the future if the clock was
	if touch {
		o.touched = now
	}
	s.mu.Unlock()
	if touch {
		if err := s.root.Chtimes(sidecarPath(o.id), now, now); err != nil {
			s.log.Debug("the use of an object cannot be written down", slog.String("object", o.id), slog.Any("error", err))
		}
	}
	return true
}

// opened opens an object's files for a user who was counted. Otherwise the user is counted no more.
func (s *Store) opened(o *Object) bool {
	if err := o.open(); err != nil {
		s.log.Warn("an object of the store cannot be opened", slog.String("object", o.id), slog.Any("error", err))
		if errors.Is(err, fs.ErrNotExist) { // anything else may pass: too many open files, for one
			s.discard(o)
		}
		s.release(o)
		return false
	}
	return true
}

func (s *Store) release(o *Object) {
	s.mu.Lock()
	files, unlink := s.releaseLocked(o)
	s.mu.Unlock()
	s.tidy(o, files, unlink)
}

// releaseLocked counts a user no more. What it returns is for tidy, without Store.mu.
func (s *Store) releaseLocked(o *Object) (files [2]*os.File, unlink bool) {
	o.users--
	switch {
	case o.users == 0:
		files = o.detach() // nobody can take it up before Store.mu is free
		if o.removed {
			s.unreserveLocked(o)
			unlink = s.taskLocked() // else the next process does it: there is no sidecar
		}
	case o.removed && o.users == 1:
		o.abandon()
	}
	return files, unlink
}

// tidy closes and removes what an object's last user leaves.
func (s *Store) tidy(o *Object, files [2]*os.File, unlink bool) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
	if unlink {
		s.unlink(o.id)
		s.tasks.Done()
	}
}
