// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"log/slog"
	"math"
	"strings"
)

// Each object costs at least a unit, and a whole number of them: the smallest has three files and its place in the index,
// too, and whoever may ask for objects may ask for any number of tiny ones. A unit is 64 KiB, or a block, if that is
// smaller: then small objects are what the store is for. It is not bytes of the file system, so MinFree knows nothing of
// it.
const unit = 64 << 10

// charge is what an object of so many bytes costs.
func (s *Store) charge(bytes int64) int64 {
	u := min(unit, s.block.Load())
	return max(1, (bytes+u-1)/u) * u
}

// fitsLocked reports whether there would be room for an object if it were alone.
func (s *Store) fitsLocked(bytes int64) bool {
	return bytes <= s.options.MaxSize && s.charge(bytes) <= s.options.MaxSize
}

// chargeLocked sets what is reserved for an object.
func (s *Store) chargeLocked(o *Object, bytes int64) {
	cost := s.charge(bytes)
	s.used += cost - o.charged
	o.reserved, o.charged = bytes, cost
}

// Bounds of the number of objects. Each has three inodes, two kilobytes of memory or more, and a file that is read at the
// start.
const (
	fewestObjects = 1 << 10
	mostObjects   = 1 << 16
)

// objectsIn is how many objects a store of a size keeps: one for each MiB, which is far more than images need.
func objectsIn(maxSize int64) int { return int(min(max(maxSize>>20, fewestObjects), mostObjects)) }

// reserve makes an object's reservation at least so many bytes, before they are written. ErrNotStored: there is no room,
// not even after all that may go has gone.
func (s *Store) reserve(o *Object, bytes int64) error {
	free := s.room()
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes = max(bytes, o.reserved)
	if !s.fitsLocked(bytes) { // whatever an origin says
		return ErrNotStored
	}
	more := request{bytes: bytes - o.reserved, cost: s.charge(bytes) - o.charged}
	if o.element == nil {
		more.objects = 1
	}
	if err := s.makeRoomLocked(more, free); err != nil {
		return err
	}
	s.chargeLocked(o, bytes)
	s.filling[o] = struct{}{}
	return nil
}

// unreserveLocked gives back what an object had, when its files go.
func (s *Store) unreserveLocked(o *Object) {
	s.used -= o.charged
	o.reserved, o.charged = 0, 0
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

// Room is how many bytes the file system has, and how many of them the store leaves free.
func (s *Store) Room() (free, floor int64) {
	free = s.room()
	s.mu.Lock()
	defer s.mu.Unlock()
	return free, s.options.MinFree
}

// makeRoom evicts the objects that were not used for longest until the limits hold.
func (s *Store) makeRoom() error {
	free := s.room()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeRoomLocked(request{}, free)
}

// request is what is wanted beside what there is: bytes of the file system, their cost, and objects.
type request struct {
	bytes, cost int64
	objects     int
}

// makeRoomLocked evicts until what is wanted fits beside what the file system has free. It evicts nothing if that cannot
// be. Objects are never too many for another one: if all of them are used or pinned, there is one more.
func (s *Store) makeRoomLocked(more request, free int64) error {
	// What fills have reserved and not written yet is not missing from the file system's count, but will be.
	used, free := s.used+more.cost, free-more.bytes-s.pendingLocked()-s.options.MinFree
	count := len(s.objects) + more.objects
	var victims []*Object
	for e := s.recent.Back(); e != nil && (used > s.options.MaxSize || free < 0 || count > s.most); e = e.Prev() {
		o := e.Value.(*Object)
		if o.users > 0 || s.pinnedLocked(o) {
			continue
		}
		used -= o.charged
		free += o.Stored()
		count--
		victims = append(victims, o)
	}
	// Limits that were lowered are to be kept as well as can be.
	enough := used <= s.options.MaxSize && free >= 0
	if !enough && (more.bytes > 0 || more.cost > 0) {
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
		if s.pinnedKeyLocked(key) {
			return true
		}
	}
	return false
}

func (s *Store) pinnedKeyLocked(key string) bool {
	if _, ok := s.pinned[key]; ok {
		return true
	}
	name, _, _ := strings.Cut(key, "\x00")
	_, ok := s.pinned[name]
	return ok
}

// pendingLocked is what fills are still going to write.
func (s *Store) pendingLocked() int64 {
	pending := int64(0)
	for o := range s.filling {
		pending += max(0, o.reserved-o.Stored())
	}
	return pending
}
