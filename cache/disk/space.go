// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"log/slog"
)

// reserve makes an object's reservation at least so many bytes, before they are written. ErrNotStored: there is no room,
// not even after all that may go has gone.
func (s *Store) reserve(o *Object, bytes int64) error {
	s.mu.Lock()
	more := bytes - o.reserved
	s.mu.Unlock()
	if more <= 0 {
		return nil
	}
	if err := s.makeRoom(more); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used+more > s.options.MaxSize { // another was faster
		return ErrNotStored
	}
	s.used += more
	o.reserved += more
	return nil
}

// makeRoom evicts the objects that were not used for longest until so many bytes fit.
func (s *Store) makeRoom(bytes int64) error {
	free, err := s.free()
	if err != nil {
		s.log.Warn("the file system does not say how much room it has", slog.String("store", s.dir), slog.Any("error", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes > s.options.MaxSize {
		return ErrNotStored
	}
	// What fills have reserved and not written yet is not missing from the file system's count, but will be.
	if err == nil {
		free -= s.pendingLocked() + s.options.MinFree
	} else {
		free = bytes
	}
	for e := s.recent.Back(); e != nil && (s.used+bytes > s.options.MaxSize || free < bytes); {
		o := e.Value.(*Object)
		e = e.Prev()
		if o.users > 0 || s.pinnedLocked(o) {
			continue
		}
		s.counters.evicted.Add(1)
		s.counters.evictedBytes.Add(o.reserved)
		free += o.Stored()
		s.dropLocked(o)
	}
	if s.used+bytes > s.options.MaxSize || free < bytes {
		return ErrNotStored
	}
	return nil
}

func (s *Store) pinnedLocked(o *Object) bool {
	for key := range o.keys {
		if _, ok := s.pinned[key]; ok {
			return true
		}
	}
	return false
}

// pendingLocked is what fills are still going to write.
func (s *Store) pendingLocked() int64 {
	pending := int64(0)
	for _, o := range s.objects {
		if o.users == 0 {
			continue
		}
		if filling, _ := o.Filling(); filling {
			pending += max(0, o.reserved-o.Stored())
		}
	}
	return pending
}
