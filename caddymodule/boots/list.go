// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Filter selects boots. The zero Filter is all of them.
type Filter struct {
	// Node is a UUID, MAC a NIC's address, Client the machine's.
	Node   string
	MAC    string
	Client netip.Addr
	// Outcomes are those that are wanted; none: all.
	Outcomes []Outcome
	// Latest leaves out all but the last boot of each node.
	Latest bool
	// Limit is how many are returned at most; 0: no limit.
	Limit int
}

// List returns the boots that a filter selects, the newest first.
func (t *Timeline) List(f Filter) []Boot {
	now := time.Now()
	listed := []Boot{}
	for _, b := range slices.Backward(t.all()) {
		t.mu.Lock()
		if !b.evicted && f.selects(b) && (!f.Latest || t.byNode[b.Node] == b) {
			shown := t.shownLocked(b, now)
			if len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, shown.Outcome) {
				listed = append(listed, shown)
			}
		}
		t.mu.Unlock()
		if f.Limit > 0 && len(listed) == f.Limit {
			break
		}
	}
	return listed
}

// all returns all boots, oldest first. Whoever goes through them takes the lock for each, so that nobody waits long.
func (t *Timeline) all() []*boot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.order)
}

func (f *Filter) selects(b *boot) bool {
	return (f.Node == "" || strings.EqualFold(f.Node, b.Node)) &&
		(f.MAC == "" || slices.Contains(b.MACs, macForm(f.MAC))) &&
		(!f.Client.IsValid() || slices.Contains(b.Clients, f.Client))
}

// Get returns the boot that has an id or a request id, or the last one of the node, MAC or address.
func (t *Timeline) Get(key string) (Boot, bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.byID[key]
	if b == nil {
		b = t.byNode[strings.ToLower(key)]
	}
	if b == nil {
		b = t.byMAC[macForm(key)]
	}
	if b == nil {
		if client, err := netip.ParseAddr(key); err == nil {
			b = t.byClient[client]
		}
	}
	if b == nil {
		return Boot{}, false
	}
	return t.shownLocked(b, now), true
}

// macForm is a MAC as Ironic spells it.
func macForm(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", ":")) }

// shownLocked is a boot as the API shows it.
func (t *Timeline) shownLocked(b *boot, now time.Time) Boot {
	b.sampleLocked(now)
	shown := b.clone()
	shown.judge(now)
	return shown
}

// judge adds the diagnoses, and what follows from them.
func (b *Boot) judge(now time.Time) {
	b.Diagnoses = b.diagnose(now)
	if b.Outcome == Running && len(b.Diagnoses) > 0 && b.Diagnoses[0].Severity == Error {
		b.Outcome = Stuck
	}
}

// Strays returns the machines that are no node, the one that asked last first.
func (t *Timeline) Strays() []Stray {
	t.mu.Lock()
	defer t.mu.Unlock()
	listed := make([]Stray, 0, len(t.strays.byMAC))
	for _, s := range t.strays.byMAC {
		listed = append(listed, s.shown())
	}
	slices.SortFunc(listed, func(a, b Stray) int { return b.Last.Compare(a.Last) })
	return listed
}

// Changed returns a channel that is closed when anything changes after the call, progress of images included once every
// sampleEvery. Ask for it before List, so that nothing is missed.
func (t *Timeline) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// Version is a number that grows with each change.
func (t *Timeline) Version() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

// changedLocked says that a boot, or if it is nil something else, is not what it was.
func (t *Timeline) changedLocked(b *boot) {
	if b != nil {
		b.dirty = true
	}
	t.version++
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
