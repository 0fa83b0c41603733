// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Timeline remembers boots. It may be used by many goroutines at once. Run has it look after them.
type Timeline struct {
	began time.Time
	wake  chan struct{} // there is something to tell

	mu       sync.Mutex
	limit    int
	order    []*boot // oldest first
	byNode   map[string]*boot
	byMAC    map[string]*boot
	byClient map[netip.Addr]*boot
	byID     map[string]*boot // and by request id
	strays   strays
	signs    lastSigns
	expected map[string]*expectation
	lastID   int64

	untold  []note
	version uint64
	changed chan struct{} // closed at the next change; nil: nobody waits
}

// boot is a Boot with what is not shown of it.
type boot struct {
	Boot
	transfers []*Transfer
	images    []*progress
	sampledAt time.Time
	found     map[Code]bool // what was told of
	dirty     bool          // the journal does not have it as it is
	evicted   bool
	seenMAC   string // of the last script given, at seenAt
}

// DefaultLimit is how many boots are kept if nobody says otherwise.
const DefaultLimit = 2000

const (
	// again is within what time another request for a script is of the same boot, unless the machine has gone on.
	again = 3 * time.Minute
	// settle is the same for a boot that is over once its script is given, and for how long images are still counted.
	settle = 30 * time.Second
	// loopWithin is how far apart boots may be to be called a loop.
	loopWithin = 30 * time.Minute
	// giveUp is after what time without a sign a boot is given up.
	giveUp = 2 * time.Hour
	// bootsISO is after what time without a read a machine is taken to run what it has from an ISO.
	bootsISO = 3 * time.Minute
)

// The kinds of scripts that matter here, as ipxe.Kind names them.
const (
	kindDeploy  = "deploy"
	kindRamdisk = "boot_ramdisk"
	kindDisk    = "boot_whole_disk"
	kindISCSI   = "boot_iscsi"
	kindExplain = "explain"
	kindAgent   = "agent" // not from a script of this edge: virtual media, or another edge

	// KindConductor is a script that the conductor wrote. What it boots is not known, nor whether this edge sees its images.
	KindConductor = "conductor"
)

// New returns an empty Timeline for so many boots.
func New(limit int) *Timeline {
	return &Timeline{began: time.Now(), limit: limit, wake: make(chan struct{}, 1), byNode: make(map[string]*boot), byMAC: make(map[string]*boot),
		byClient: make(map[netip.Addr]*boot), byID: make(map[string]*boot), expected: make(map[string]*expectation)}
}

// SetLimit sets how many boots are kept.
func (t *Timeline) SetLimit(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = n
	t.evictLocked()
}

// Script is a request for a script and its answer.
type Script struct {
	// MAC is the NIC that asked, in Ironic's spelling; empty if the node was asked for by UUID.
	MAC string
	// Node, Name and State are the node's, if it is known.
	Node, Name, State string
	Client            netip.Addr
	// Firmware is the User-Agent, of which the beginning is kept.
	Firmware string
	// Kind is what the script boots, empty if there was none. Reason is why it was chosen, or why there was none. Cache is how
	// the node was found.
	Kind, Reason, Cache string
	// RequestID is the one that the script has for the agent.
	RequestID string
}

// Script records that a script was given or refused, and returns the boot that it is of.
func (t *Timeline) Script(s *Script) Ref {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.byNode[s.Node]
	if s.Node == "" {
		if b = t.byMAC[s.MAC]; b == nil || s.Reason == ReasonNoNode || s.Reason == ReasonAbsent {
			t.strayLocked(s, now)
			return Ref{}
		}
	} else if s.State != "" && b != nil {
		t.stateLocked(b, s.State, now)
	}
	switch {
	case b == nil:
		b = t.beginLocked(s.Node, now)
		t.followStrayLocked(b, s.MAC, now)
	case b.startsAnew(s, now):
		b = t.nextLocked(b, s, now)
	}
	t.answerLocked(b, s, now)
	return b.ref()
}

// startsAnew reports whether a request for a script begins another boot.
func (b *boot) startsAnew(s *Script, now time.Time) bool {
	idle := now.Sub(b.Seen)
	switch {
	case b.Over() && (len(b.Images) > 0 || idle > settle):
		return true
	case b.Over():
		return s.Kind != "" && s.Kind != b.Kind
	case len(b.Images)+b.Lookup.Taken+b.Heartbeat.Taken > 0:
		return true
	}
	return idle > again
}

// nextLocked ends a boot, since the machine begins another.
func (t *Timeline) nextLocked(old *boot, s *Script, now time.Time) *boot {
	if !old.Over() {
		outcome := Superseded
		if old.Heartbeat.Taken > 0 && s.Kind != "" && s.Kind != kindDeploy { // the agent has done its work
			outcome = Finished
		}
		t.endLocked(old, outcome, "", now)
	}
	node := s.Node
	if node == "" {
		node = old.Node
	}
	b := t.beginLocked(node, now)
	b.Name, b.State, b.StateSince = old.Name, old.State, old.StateSince
	if old.Lookup.Taken+old.Heartbeat.Taken == 0 && old.Scripts > 0 && now.Sub(old.Started) < loopWithin && s.Kind != "" && s.Kind == old.Kind {
		b.Restarts = old.Restarts + old.Returns + 1
		b.found = tellOnce(old.found)
	}
	return b
}

// tellOnce is what was told of the boots before and is not to be told again of the next one.
func tellOnce(found map[Code]bool) map[Code]bool {
	if !found[codeDiskLoop] {
		return nil
	}
	return map[Code]bool{codeDiskLoop: true}
}

// answerLocked adds a request for a script to its boot.
func (t *Timeline) answerLocked(b *boot, s *Script, now time.Time) {
	if len(b.MACs) > 0 && s.MAC != "" && !slices.Contains(b.MACs, s.MAC) {
		b.note(Event{At: now, Kind: EventNIC, Text: s.MAC})
	}
	t.joinLocked(b, s.MAC, s.Client)
	if s.Name != "" {
		b.Name = s.Name
	}
	if s.Firmware != "" && (b.Firmware == "" || !strings.HasPrefix(s.Firmware, b.Firmware)) {
		b.Firmware = plainText(s.Firmware)
	}
	if b.State == "" && s.State != "" {
		b.State, b.StateSince = s.State, now
	}
	b.Reason, b.Cache = s.Reason, s.Cache
	if s.Kind == "" {
		b.Refusals++
		b.note(Event{At: now, Kind: EventRefused, Code: s.Reason})
		t.changedLocked(b)
		return
	}
	b.Racing = b.Racing || b.Scripts > 0 && s.MAC != "" && b.seenMAC != "" && b.seenMAC != s.MAC
	b.seenMAC = s.MAC
	if s.Kind == kindDisk && b.Kind == kindDisk && b.Scripts > 0 && (len(b.MACs) == 0 || s.MAC == b.MACs[0]) {
		b.Returns++ // firmware that tries one NIC after the other is no loop
	}
	b.Kind, b.Given, b.Refusals = s.Kind, now, 0
	b.Scripts++
	t.tellDiskLoopLocked(b, now)
	b.note(Event{At: now, Kind: EventScript, Text: s.Kind, Code: s.Reason})
	t.identifyLocked(b, s.RequestID)
	switch {
	case b.Over():
	case s.Kind == kindDisk || s.Kind == kindISCSI: // the machine is on its own from here
		t.endLocked(b, Finished, "", now)
	case s.Kind != kindExplain && s.Kind != KindConductor:
		b.enter(StageKernel, now)
	}
	t.changedLocked(b)
}

// beginLocked begins a boot of a node.
func (t *Timeline) beginLocked(node string, now time.Time) *boot {
	t.lastID = max(t.lastID+1, now.UnixMicro())
	b := &boot{Boot: Boot{ID: strconv.FormatInt(t.lastID, 36), Node: node, Started: now, Seen: now, Outcome: Running,
		Events: make([]Event, 0, 8), Stages: make([]Phase, 0, 6)}}
	b.enter(StageScript, now)
	t.addLocked(b)
	t.tellLocked(note{kind: NoticeStarted, boot: b})
	return b
}

// addLocked takes a boot in, and lets the oldest go.
func (t *Timeline) addLocked(b *boot) {
	t.order = append(t.order, b)
	t.byID[b.ID], t.byNode[b.Node] = b, b
	t.signs.forget(b.Node)
	t.evictLocked()
}

func (t *Timeline) evictLocked() {
	for len(t.order) > max(t.limit, 1) {
		b := t.order[0]
		t.order[0] = nil
		t.order = t.order[1:]
		b.evicted = true
		if t.byNode[b.Node] == b {
			t.signs.note(b.Node, b.Seen)
		}
		delete(t.byID, b.ID)
		for _, id := range b.RequestIDs {
			drop(t.byID, id, b)
		}
		drop(t.byNode, b.Node, b)
		for _, mac := range b.MACs {
			drop(t.byMAC, mac, b)
		}
		for _, client := range b.Clients {
			drop(t.byClient, client, b)
		}
	}
}

// drop removes a key that leads to a boot, and not one that leads to another by now.
func drop[K comparable](index map[K]*boot, key K, b *boot) {
	if index[key] == b {
		delete(index, key)
	}
}

// joinLocked has a MAC and an address lead to a boot.
func (t *Timeline) joinLocked(b *boot, mac string, client netip.Addr) {
	if mac != "" && t.byMAC[mac] != b {
		if b.addMAC(mac); slices.Contains(b.MACs, mac) {
			t.byMAC[mac] = b
			t.strays.remove(mac)
		}
	}
	if client.IsValid() && t.byClient[client] != b {
		if len(b.Clients) == maxClients {
			drop(t.byClient, b.Clients[0], b)
		}
		b.addClient(client)
		t.byClient[client] = b
	}
}

// identifyLocked has a request id lead to a boot.
func (t *Timeline) identifyLocked(b *boot, id string) {
	if id == "" {
		return
	}
	if len(b.RequestIDs) == maxIDs { // the first one is that of its trace
		drop(t.byID, b.RequestIDs[1], b)
		b.RequestIDs = slices.Delete(b.RequestIDs, 1, 2)
	}
	b.RequestIDs = append(b.RequestIDs, id)
	t.byID[id] = b
}

// endLocked ends a boot.
func (t *Timeline) endLocked(b *boot, outcome Outcome, code string, now time.Time) {
	b.sampleLocked(now)
	seen := b.Seen
	b.note(Event{At: now, Kind: EventEnd, Text: string(outcome), Code: code})
	if outcome == Stuck || outcome == Superseded {
		b.Seen = seen
	}
	last := b.Stage
	b.enter(StageDone, now)
	if outcome != Finished {
		b.Stage = last
	}
	b.Outcome, b.Ended = outcome, now
	t.tellLocked(note{kind: NoticeEnded, boot: b})
	t.changedLocked(b)
}

// plainText is the beginning of what a client says of itself, without what could be more than text.
func plainText(s string) string {
	const most = 64
	s = s[:min(len(s), most)]
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r > '~' {
					return '?'
				}
				return r
			}, s)
		}
	}
	return strings.Clone(s)
}
