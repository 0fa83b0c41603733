// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
)

// Get returns the object to which a key leads, and what was said of it when the key was set. Nil: there is none. The
// object is to be released.
func (s *Store) Get(key string) (*Object, json.RawMessage) {
	s.mu.Lock()
	o := s.keys[key]
	if o == nil || !s.useLocked(o) {
		s.mu.Unlock()
		return nil, nil
	}
	info := o.keys[key]
	s.mu.Unlock()
	if !s.take(o) {
		return nil, nil
	}
	return o, info
}

// Find returns the object of an identity, a name of its content: a digest, or an origin with a strong validator and a
// length. Nil: there is none. The object is to be released.
func (s *Store) Find(identity string) *Object {
	s.mu.Lock()
	o := s.identities[identity]
	used := o != nil && s.useLocked(o)
	s.mu.Unlock()
	if !used || !s.take(o) {
		return nil
	}
	return o
}

// SetKey leads a key to an object, or changes what is said of it.
func (s *Store) SetKey(key string, info json.RawMessage, o *Object) {
	s.mu.Lock()
	if o.removed || s.closed {
		s.mu.Unlock()
		return
	}
	old := s.setKeyLocked(key, info, o)
	s.taskLocked()
	s.mu.Unlock()
	defer s.tasks.Done()
	s.save(o)
	s.save(old)
}

// setKeyLocked returns the object that the key led to, nil if it is the same or there was none.
func (s *Store) setKeyLocked(key string, info json.RawMessage, o *Object) *Object {
	old := s.keys[key]
	s.keys[key] = o
	o.keys[key] = info
	if len(o.keys) > maxKeys {
		s.dropKeyLocked(o, key)
	}
	if old == nil || old == o {
		return nil
	}
	delete(old.keys, key)
	if len(old.keys) == 0 {
		s.dropLocked(old)
	}
	return old
}

// maxKeys is how many keys may lead to an object. All of them stand in its sidecar, which is written anew for each; and a
// client makes as many as it likes where an origin ignores queries.
const maxKeys = 1024

// dropKeyLocked takes a key from an object that has too many: any one that is neither pinned nor the one that is kept.
func (s *Store) dropKeyLocked(o *Object, kept string) {
	for key := range o.keys { // in no order
		if key != kept && !s.pinnedKeyLocked(key) {
			delete(o.keys, key)
			delete(s.keys, key)
			return
		}
	}
}

// RemoveKey makes a key lead nowhere. An object without keys is removed when its last user has left.
func (s *Store) RemoveKey(key string) {
	s.mu.Lock()
	o := s.keys[key]
	if o == nil || s.closed {
		s.mu.Unlock()
		return
	}
	delete(s.keys, key)
	delete(o.keys, key)
	if len(o.keys) == 0 {
		s.dropLocked(o)
	}
	s.taskLocked()
	s.mu.Unlock()
	defer s.tasks.Done()
	s.save(o)
}

// save writes what is to be known of an object after a restart, if there is one; if it cannot be, a restart loses it.
func (s *Store) save(o *Object) {
	if o == nil {
		return
	}
	if err := s.writeSidecar(o, false); err != nil {
		s.log.Warn("a sidecar cannot be written; a restart loses the object", slog.String("object", o.id), slog.Any("error", err))
	}
}

// writeSidecar writes an object's sidecar as it should be now. Who comes later writes what is true later: two that had
// decided before they wrote could leave the older one. An object that was dropped has none, or it would be found again
// after a restart, under a key that leads elsewhere.
func (s *Store) writeSidecar(o *Object, sync bool) error {
	o.saving.Lock()
	defer o.saving.Unlock()
	s.mu.Lock()
	removed := o.removed
	side := o.sidecarLocked()
	s.mu.Unlock()
	if removed {
		err := s.root.Remove(sidecarPath(o.id))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	return writeSidecar(s.root, o.id, side, sync)
}

// KeyInfos returns what was said of each key.
func (s *Store) KeyInfos() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make(map[string]json.RawMessage, len(s.keys))
	for key, o := range s.keys {
		infos[key] = o.keys[key]
	}
	return infos
}

// Keys returns the keys and the lengths of their objects, -1 where they are not known yet.
func (s *Store) Keys() map[string]int64 {
	s.mu.Lock()
	keys := maps.Clone(s.keys)
	s.mu.Unlock()
	sizes := make(map[string]int64, len(keys))
	for key, o := range keys {
		sizes[key] = o.Size()
	}
	return sizes
}
