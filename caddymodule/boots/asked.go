// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// maxAsked bounds for how many nodes it is remembered when they were last seen, beside those whose boots are kept.
const maxAsked = 20_000

// lastSigns are when nodes were last seen whose boots are not kept any more: a boot that has to go for its number must not
// have its machine look as if it had never asked.
type lastSigns struct {
	at    map[string]time.Time // by UUID
	fresh map[string]time.Time // of those, what the journal does not have yet
}

// note remembers when a node was seen. When there are too many, those seen longest ago go, a quarter at a time.
func (s *lastSigns) note(node string, seen time.Time) {
	if s.at == nil {
		s.at, s.fresh = make(map[string]time.Time), make(map[string]time.Time)
	}
	if !seen.After(s.at[node]) {
		return
	}
	if _, known := s.at[node]; !known && len(s.at) >= maxAsked {
		times := slices.SortedFunc(maps.Values(s.at), time.Time.Compare)
		from := times[len(times)/4]
		old := func(_ string, at time.Time) bool { return at.Before(from) }
		maps.DeleteFunc(s.at, old)
		maps.DeleteFunc(s.fresh, old)
		if len(s.at) >= maxAsked { // all at one moment
			return
		}
	}
	s.at[node], s.fresh[node] = seen, seen
}

// forget is for a node that has a boot again.
func (s *lastSigns) forget(node string) {
	delete(s.at, node)
	delete(s.fresh, node)
}

// goesOnLocked remembers that a node is seen again whose boot is not kept any more. Whoever makes up a UUID is not remembered.
func (t *Timeline) goesOnLocked(node string, now time.Time) {
	if _, known := t.signs.at[node]; known {
		t.signs.note(node, now)
	}
}

// Asked returns when a node was last seen, in a boot that is kept or in one that was. Zero: never, as far as is known.
func (t *Timeline) Asked(node string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.askedLocked(strings.ToLower(node))
}

func (t *Timeline) askedLocked(node string) time.Time {
	last := t.signs.at[node]
	if b := t.byNode[node]; b != nil {
		last = later(last, b.Seen)
	}
	return last
}
