// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"log/slog"
	"math"
	"strings"
)

// reserve makes an object's reservation at least so many bytes, before they are written. ErrNotStored: there is no room,
// not even after all that may go has gone.
func (s *Store) reserve(o *Object, bytes int64) error {
	free := s.room()
	s.mu.Lock()
	defer s.mu.Unlock()
	more := max(0, bytes-o.reserved)
	if err := s.makeRoomLocked(more, free); err != nil {
		return err
	}
	s.used += more
	o.reserved += more
	s.filling[o] = struct{}{}
	return nil
}

// unreserveLocked gives back what an object had, when its files go.
func (s *Store) unreserveLocked(o *Object) {
	s.used -= o.reserved
	o.reserved = 0
	delete(s.filling, o)
}

// room is how many bytes the file system has.
func (s *Store) room() int64 {
	free, err := s.free()
	if err != nil {
		s.log.Warn("the file system does not say how much room it has", slog.String("store", s.dir), slog.Any("error", err))
		return math.MaxInt64 / 2
	}
	return free
}

// makeRoom evicts the objects that were not used for longest until the limits hold.
func (s *Store) makeRoom() error {
	free := s.room()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeRoomLocked(0, free)
}

// makeRoomLocked evicts until so many bytes fit beside what the file system has free. It evicts nothing if they cannot.
func (s *Store) makeRoomLocked(bytes, free int64) error {
	if bytes > s.options.MaxSize { // whatever an origin says
		return ErrNotStored
	}
	// What fills have reserved and not written yet is not missing from the file system's count, but will be.
	used, free := s.used+bytes, free-bytes-s.pendingLocked()-s.options.MinFree
	var victims []*Object
	for e := s.recent.Back(); e != nil && (used > s.options.MaxSize || free < 0); e = e.Prev() {
		o := e.Value.(*Object)
		if o.users > 0 || s.pinnedLocked(o) {
			continue
		}
		used -= o.reserved
		free += o.Stored()
		victims = append(victims, o)
	}
	// Limits that were lowered are to be kept as well as can be.
	enough := used <= s.options.MaxSize && free >= 0
	if !enough && bytes > 0 {
		return ErrNotStored
	}
	for _, o := range victims {
		s.counters.evicted.Add(1)
		s.counters.evictedBytes.Add(o.reserved)
		s.dropLocked(o)
	}
	if !enough {
		return ErrNotStored
	}
	return nil
}

func (s *Store) pinnedLocked(o *Object) bool {
	for key := range o.keys {
		if _, ok := s.pinned[key]; ok {
			return true
		}
		name, _, _ := strings.Cut(key, "\x00")
		if _, ok := s.pinned[name]; ok {
			return true
		}
	}
	return false
}

// pendingLocked is what fills are still going to write.
func (s *Store) pendingLocked() int64 {
	pending := int64(0)
	for o := range s.filling {
		pending += max(0, o.reserved-o.Stored())
	}
	return pending
}
