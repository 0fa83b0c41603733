// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Node is what Ironic's list of nodes says of one.
type Node struct {
	UUID, Name, State string
	// Since is when it came into the state (provision_updated_at); zero if that is not known.
	Since time.Time
}

// Silent is a node for whose ramdisk Ironic waits and that has asked for nothing.
type Silent struct {
	Node      string    `json:"node"`
	Name      string    `json:"name,omitempty"`
	State     string    `json:"provision_state"`
	Since     time.Time `json:"provision_state_since"`
	Diagnosis Diagnosis `json:"diagnosis"`
}

// expectation is a node for whose ramdisk Ironic waits.
type expectation struct {
	Node
	told bool
}

// maxExpected bounds what is remembered of the inventory.
const maxExpected = 20_000

// Inventory takes in what Ironic says of all nodes at some time: the states of those that boot, and for which ones it waits.
// It replaces what the last call said.
func (t *Timeline) Inventory(nodes iter.Seq[Node]) {
	now := time.Now()
	expected := make(map[string]*expectation)
	for n := range nodes {
		t.mu.Lock()
		if b := t.byNode[n.UUID]; b != nil {
			t.stateLocked(b, n.State, now)
			if n.Name != "" {
				b.Name = n.Name
			}
		}
		t.mu.Unlock()
		if !waits(n.State) || len(expected) == maxExpected {
			continue
		}
		if n.Since.IsZero() {
			n.Since = now
		}
		expected[n.UUID] = &expectation{Node: n}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for uuid, e := range expected {
		if old := t.expected[uuid]; old != nil && old.State == e.State {
			if e.told = old.told && !e.Since.After(old.Since); e.Since.Equal(now) {
				e.Since = old.Since // it was not said
			}
		}
	}
	t.expected = expected
}

// silentLocked reports whether an expected node has asked for nothing since it is expected. Before the timeline began it
// may have.
func (t *Timeline) silentLocked(e *expectation, now time.Time) bool {
	since := later(e.Since, t.began)
	if now.Sub(since) < askWithin {
		return false
	}
	const early = time.Minute // a machine may ask before Ironic writes that it waits
	return t.askedLocked(e.UUID).Before(e.Since.Add(-early))
}

func (e *expectation) shown() Silent {
	return Silent{e.UUID, e.Name, e.State, e.Since, Diagnosis{CodeNeverAsked, Error,
		fmt.Sprintf("Ironic has waited for the node since %s (%s), and it has not asked for its boot.", clock(e.Since), e.State),
		"See whether it is on, whether network boot is first in its boot order, and cable, VLAN and DHCP of its NIC; a machine that only asks a DHCP server is not seen here."}}
}

// Silent returns the nodes for which Ironic waits and that have not asked, the one that is waited for longest first.
func (t *Timeline) Silent() []Silent {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	silent := []Silent{}
	for _, e := range t.expected {
		if t.silentLocked(e, now) {
			silent = append(silent, e.shown())
		}
	}
	slices.SortFunc(silent, func(a, b Silent) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Node, b.Node)
	})
	return silent
}
