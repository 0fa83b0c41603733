// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"maps"
	"slices"
	"time"
)

// State is how far an object is.
type State string

// The states of objects.
const (
	Filling State = "filling" // bytes are on their way, or all are there and are being brought to the disk
	Whole   State = "whole"   // every byte is there and right
	Partial State = "partial" // bytes are missing, and nobody fetches them
)

// Info is what is known of an object.
type Info struct {
	ID      string
	Keys    []string // that lead to it, sorted
	Size    int64    // bytes; -1: not known yet
	Stored  int64    // bytes that are there
	Block   int64    // bytes
	Digest  string   // algorithm:hex; empty: not known, so that only its blocks can be checked
	State   State
	Pinned  bool
	Readers int // that have not released it, the store itself among them while it checks the object
	LastUse time.Time
	Fill    *FillInfo // nil: there is none
	Problem string
}

// FillInfo is what is known of a fill under way.
type FillInfo struct {
	Begun   time.Time
	Rate    float64 // bytes per second, of the last seconds
	Streams int     // connections to the origin, or attempts to get one
}

// Infos returns what is known of each object, the one last used first. It says how each was at some instant, not all at
// the same.
func (s *Store) Infos() []Info {
	s.mu.Lock()
	objects := make([]*Object, 0, len(s.objects))
	for e := s.recent.Front(); e != nil; e = e.Next() {
		objects = append(objects, e.Value.(*Object))
	}
	s.mu.Unlock()
	infos := make([]Info, 0, len(objects))
	now := time.Now()
	for _, o := range objects {
		s.mu.Lock() // for one after the other: there may be many, and requests wait
		if !o.removed {
			infos = append(infos, s.infoLocked(o, now))
		}
		s.mu.Unlock()
	}
	return infos
}

func (s *Store) infoLocked(o *Object, now time.Time) Info {
	info := Info{ID: o.id, Keys: slices.Sorted(maps.Keys(o.keys)), Stored: o.Stored(), Block: o.block, State: Partial,
		Pinned: s.pinnedLocked(o), Readers: o.users, LastUse: time.Unix(o.lastUse.Load(), 0)}
	if o.digest != nil {
		info.Digest = o.digest.String()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	info.Size = o.size
	switch f := o.fill; {
	case f != nil:
		info.State = Filling
		info.Readers--
		info.Fill = &FillInfo{Begun: f.meter.begun, Rate: f.meter.rate(now), Streams: len(f.streams)}
	case o.whole:
		info.State = Whole
	case o.gone != nil && o.gone != errIdle:
		info.Problem = o.gone.Error()
	}
	return info
}

// meter measures how fast bytes come.
type meter struct {
	begun time.Time // the whole
	since time.Time // the window
	bytes int64     // of the window
	last  float64   // bytes per second of the window before; -1: there was none
}

// window is for how long a meter looks back, at least.
const window = 5 * time.Second

func newMeter(now time.Time) meter { return meter{begun: now, since: now, last: -1} }

func (m *meter) add(n int64, now time.Time) {
	if now.Sub(m.since) >= window {
		m.last = m.rate(now)
		m.since, m.bytes = now, 0
	}
	m.bytes += n
}

// rate is the rate of the window before, unless this one is longer.
func (m *meter) rate(now time.Time) float64 {
	elapsed := now.Sub(m.since)
	switch {
	case m.last >= 0 && elapsed < window:
		return m.last
	case elapsed <= 0:
		return 0
	}
	return float64(m.bytes) / elapsed.Seconds()
}
