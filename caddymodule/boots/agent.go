// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"net/netip"
	"strings"
	"time"
)

// Call is a call of the agent and what became of it.
type Call struct {
	Kind EventKind // EventLookup, EventHeartbeat or EventInspection
	// Node is the UUID in the path or the query, empty if there is none. MACs are those that a lookup names.
	Node string
	MACs []string
	// RequestID is the one that the agent got from its kernel's command line.
	RequestID string
	Client    netip.Addr
	// Status is the answer's, 0 if there was none. Reason is the edge's code if it refused the call itself.
	Status int
	Reason string
}

// Agent records a call of the agent, and returns the boot that it is of.
func (t *Timeline) Agent(c *Call) Ref {
	now := time.Now()
	taken := c.Status >= 200 && c.Status < 300
	t.mu.Lock()
	defer t.mu.Unlock()
	b, sure := t.ofCallLocked(c)
	if b == nil || b.Over() && b.Lookup.Taken+b.Heartbeat.Taken == 0 {
		// An agent that was started by virtual media, say, or before the edge. Whoever makes up a UUID is not taken by Ironic.
		if !taken || c.Node == "" || c.Kind == EventInspection {
			return Ref{}
		}
		old := b
		b = t.beginLocked(strings.ToLower(c.Node), now)
		b.Kind = kindAgent
		if old != nil {
			b.Name, b.State, b.StateSince = old.Name, old.State, old.StateSince
		}
		b.enter(StageLookup, now)
	}
	if b.Over() || !taken && !sure {
		return Ref{} // somebody else's attempt must not look like this machine's
	}
	b.note(Event{At: now, Kind: c.Kind, Status: c.Status, Code: c.Reason})
	if taken {
		for _, mac := range c.MACs {
			t.joinLocked(b, mac, netip.Addr{})
		}
		t.joinLocked(b, "", c.Client)
	}
	calls := &b.Lookup
	switch c.Kind {
	case EventHeartbeat:
		calls = &b.Heartbeat
	case EventInspection:
		t.changedLocked(b)
		return b.ref()
	}
	calls.record(c, taken, now)
	switch {
	case taken && c.Kind == EventLookup:
		b.enter(StageLookup, now)
	case taken:
		b.enter(StageAgent, now)
	}
	t.changedLocked(b)
	return b.ref()
}

func (c *Calls) record(call *Call, taken bool, now time.Time) {
	if !taken {
		c.Refused++
		c.RefusedStatus, c.RefusedReason, c.RefusedLast = call.Status, call.Reason, now
		return
	}
	if c.Taken == 0 {
		c.First = now
	}
	c.Taken++
	c.Last = now
	c.Refused, c.RefusedStatus, c.RefusedReason, c.RefusedLast = 0, 0, "", time.Time{}
}

// ofCallLocked finds the boot that a call belongs to, and whether it must be that machine's: it knows the request id, or
// comes from the machine's address.
func (t *Timeline) ofCallLocked(c *Call) (b *boot, sure bool) {
	if c.RequestID != "" {
		if b = t.byID[c.RequestID]; b != nil && (c.Node == "" || strings.EqualFold(c.Node, b.Node)) {
			return b, true
		}
	}
	at := t.byClient[c.Client]
	if b = t.byNode[strings.ToLower(c.Node)]; b != nil {
		return b, at == b
	}
	if c.Node != "" {
		return nil, false
	}
	for _, mac := range c.MACs {
		if b = t.byMAC[mac]; b != nil {
			return b, at == b
		}
	}
	return at, at != nil
}

// State records the provision state that Ironic shows of a node.
func (t *Timeline) State(node, state string) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.byNode[node]; b != nil {
		t.stateLocked(b, state, now)
	}
}

// stateLocked records a state, which may end a boot.
func (t *Timeline) stateLocked(b *boot, state string, now time.Time) {
	if state == b.State || state == "" {
		return
	}
	known := b.State != ""
	b.State, b.StateSince = strings.Clone(state), now
	if b.Over() || !known {
		return
	}
	seen := b.Seen
	b.note(Event{At: now, Kind: EventState, Text: b.State})
	b.Seen = seen // of Ironic, not of the machine
	switch {
	case b.Stage == StageScript:
	case strings.HasSuffix(state, " failed") || state == "error":
		t.endLocked(b, Failed, state, now)
	case settled(state):
		t.endLocked(b, Finished, "", now)
	}
	t.changedLocked(b)
}

// settled reports whether Ironic wants nothing of a node's ramdisk in a state.
func settled(state string) bool {
	switch state {
	case "active", "available", "manageable", "rescue", "enroll":
		return true
	}
	return false
}

// waits reports whether Ironic waits in a state for the node's ramdisk.
func waits(state string) bool {
	switch state {
	case "wait call-back", "clean wait", "inspect wait", "rescue wait", "service wait":
		return true
	}
	return false
}
