// SPDX-License-Identifier: Apache-2.0

package boots

import "time"

// Ref names a boot to whoever follows it elsewhere. The zero Ref is none.
type Ref struct {
	ID, Node string
	Started  time.Time
	// RequestID is the first of those that the boot's scripts had for the agent; empty if there is none yet.
	RequestID string
}

func (b *boot) ref() Ref {
	r := Ref{ID: b.ID, Node: b.Node, Started: b.Started}
	if len(b.RequestIDs) > 0 {
		r.RequestID = b.RequestIDs[0]
	}
	return r
}

// MarkTraced notes that spans of a boot were exported, for who goes on with it after a restart.
func (t *Timeline) MarkTraced(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.byID[id]; b != nil && !b.Traced {
		b.Traced = true
		t.changedLocked(b)
	}
}

// Ref names the boot that the transfer is of.
func (x *Transfer) Ref() Ref {
	if x == nil {
		return Ref{}
	}
	x.timeline.mu.Lock()
	defer x.timeline.mu.Unlock()
	return x.boot.ref()
}

// UnderWay is how many boots are under way, those that are stuck apart.
func (t *Timeline) UnderWay() (running, stuck int) {
	now := time.Now()
	for _, b := range t.all() {
		t.mu.Lock()
		if !b.evicted && !b.Over() {
			if shown := t.shownLocked(b, now); shown.Outcome == Stuck {
				stuck++
			} else {
				running++
			}
		}
		t.mu.Unlock()
	}
	return running, stuck
}
