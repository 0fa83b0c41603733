// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"slices"
)

// finish is about an object of which every block is there: it is compared with its digest, given out whole, and made to
// last.
func (f *fill) finish() {
	o, s := f.o, f.o.store
	if err := f.verify(); err != nil {
		if errors.Is(err, ErrBad) {
			s.quarantine(o, "its digest is another")
		}
		o.mu.Lock()
		f.failLocked(err)
		o.mu.Unlock()
		return
	}
	o.mu.Lock()
	o.whole, o.state = true, nil
	o.changedLocked()
	o.mu.Unlock()
	s.mu.Lock()
	s.chargeLocked(o, o.size) // its end may not have been known until it came
	s.mu.Unlock()
	s.counters.filled.Add(1)
	if err := s.commit(o); err != nil {
		s.log.Warn("an object cannot be made to last; a restart checks it again", slog.String("object", o.id), slog.Any("error", err))
	}
}

// verify compares the object with its digest, if that is known.
func (f *fill) verify() error {
	if f.hash == nil {
		return nil
	}
	if err := f.advance(); err != nil { // no stream runs any more, so nobody else does
		return err
	}
	if f.hashed != f.o.Size() || !bytes.Equal(f.hash.Sum(nil), f.o.digest.Sum) {
		return ErrBad
	}
	return nil
}

// commit brings an object's bytes to the disk, and then the sidecar that says so.
func (s *Store) commit(o *Object) error {
	if err := errors.Join(o.data.Truncate(o.Size()), o.data.Sync(), o.sums.Sync()); err != nil {
		return err
	}
	s.mu.Lock()
	o.mu.Lock()
	o.durable = true
	o.mu.Unlock()
	s.mu.Unlock()
	return s.writeSidecar(o, true)
}

// maxQuarantine is how many bad objects are kept to be looked at.
const maxQuarantine = 3

// quarantine takes a bad object, which its caller uses, out of the store and keeps it aside. It leaves the index before
// its readers learn of it: who reads that it is bad and asks again must not find it. From then on nobody gets more of it.
func (s *Store) quarantine(o *Object, why string) {
	s.mu.Lock()
	keys := slices.Sorted(maps.Keys(o.keys))
	s.dropLocked(o)
	o.mu.Lock()
	known := errors.Is(o.gone, ErrBad)
	o.gone = ErrBad
	if o.whole {
		o.whole, o.present = false, 0
	}
	o.changedLocked()
	o.mu.Unlock()
	s.mu.Unlock()
	if known { // two have looked at it at once
		return
	}
	s.counters.badObjects.Add(1)
	s.log.Error("an object is bad and was taken out of the store", slog.String("object", o.id), slog.String("why", why),
		slog.String("quarantine", s.dir+"/quarantine"))
	err := s.root.Mkdir("quarantine", 0o755)
	_ = err // it may be there; else the renaming says what is wrong
	for _, ending := range []string{"", ".sums", ".json"} {
		if err := s.root.Rename(dataPath(o.id)+ending, "quarantine/"+o.id+ending); err != nil {
			s.log.Warn("a bad object cannot be kept", slog.String("object", o.id), slog.Any("error", err))
		}
	}
	s.pruneQuarantine()
	if s.options.OnBad != nil {
		s.options.OnBad(o.id, keys, why)
	}
}
