// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// Source is what the nodes are read from: an *ironic.Client.
type Source interface {
	Nodes(context.Context, ironic.Scope) iter.Seq2[ironic.Listed, error]
	Changed(ctx context.Context, scope ironic.Scope, known func(ironic.Listed) bool) (nodes []ironic.Listed, all bool, err error)
	Ports(context.Context, ironic.Scope) iter.Seq2[ironic.NodePort, error]
	AddVolumes(context.Context, []*ipxe.Node) (bad map[string]error, err error)
	NodeByUUID(context.Context, string) (*ipxe.Node, error)
}

// Answers is where machines find what the inventory knows. Its methods are called with the inventory locked, and must not
// call it. Nodes go by their UUID and by each address; an empty address stands for the UUID.
type Answers interface {
	// Hold has facts used for a node or address.
	Hold(address string, f Facts)
	// Drop has nothing used for a node or address.
	Drop(uuid, address string)
	// Forget makes all that is known of a node unusable until Ironic has been asked again.
	Forget(uuid string)
	// Epoch is the time of Forget; what was known at an epoch may have been Forgotten since.
	Epoch() uint64
	Forgotten(uuid string, began uint64) bool
}

// Facts are what is held of a node under one of its names.
type Facts struct {
	Node         *ipxe.Node // with the port of that name
	Asked, Since time.Time  // when Ironic was asked for the node, and for the older one of node and port
	Began        uint64     // the epoch then
	Restored     bool       // from a file
}

// Config is what an Inventory is made of.
type Config struct {
	Scope   ironic.Scope
	Source  func() Source // the one to ask at that time
	Answers Answers
	// MaxNodes bounds the inventory. Nodes beyond it are not read.
	MaxNodes int
	// Report is told of each reading. It must not call the inventory.
	Report func(Reading)
	// File is where what is known is kept, Identity whose it is. No file: nowhere.
	File, Identity string
}

// Settings may change while an inventory is in use.
type Settings struct {
	Interval time.Duration // between readings of what changed
	Fresh    time.Duration // for how long a machine's question needs no confirmation
	Longest  time.Duration // beyond this age nothing is of use
}

// Inventory is the nodes of a site. All methods may be called at any time by many goroutines.
type Inventory struct {
	config   Config
	settings atomic.Pointer[Settings]
	kick     chan struct{} // there is a round or a refresh to begin with, or there are other settings
	told     chan struct{} // closed when Ironic or the file has told of the nodes
	file     file

	mu       sync.Mutex
	waiting  int // in Confirm
	nodes    map[string]*known
	owners   map[string]*known // by address
	complete time.Time         // when the last full reading began that came to its end; zero before
	newest   time.Time         // the last change that was seen, by Ironic's clock
	changed  bool              // since it was written down
	next     *round            // the full reading that has yet to begin; nil: nobody waits for one
	failed   error             // of the last full reading
	failedAt time.Time         // when it ended
	running  bool
	refresh  map[string]bool // nodes to ask for, by UUID

	single struct { // look-ups that machines were sent to do by themselves
		since time.Time
		n     int
	}
}

// known is a node.
type known struct {
	node         *ipxe.Node // without a port; nil: its facts were not written down, or have been closed
	uuid         string
	name         string
	asset        string
	state        ipxe.State
	stateUpdated time.Time
	asked        time.Time
	began        uint64
	restored     bool
	ports        map[string]port // by address
}

// port is an address, and when Ironic was asked whose it is.
type port struct {
	ipxe.Port
	asked time.Time
}

// New returns an inventory without nodes. Run fills it.
func New(c Config, s Settings) *Inventory {
	inv := &Inventory{config: c, kick: make(chan struct{}, 1), told: make(chan struct{}), nodes: make(map[string]*known), owners: make(map[string]*known),
		refresh: make(map[string]bool)}
	inv.file.name = c.File
	inv.settings.Store(&s)
	return inv
}

// Set changes the settings. The interval counts from the last reading.
func (inv *Inventory) Set(s Settings) {
	inv.settings.Store(&s)
	inv.wake()
}

// Node is what the inventory shows of a node.
type Node struct {
	UUID         string
	Name         string
	Asset        string // asset tag or serial number
	State        ipxe.State
	StateUpdated time.Time     // by Ironic's clock; zero: never
	Ports        []ipxe.Port   // and portgroups, by address
	Age          time.Duration // since Ironic was asked
	Restored     bool          // from the file, and not confirmed yet
	// Facts are what scripts are made of, without a port; not to be changed. Nil: they are not known until Ironic is asked.
	Facts *ipxe.Node
}

// Told is closed when Ironic, or the file, has told of the nodes.
func (inv *Inventory) Told() <-chan struct{} { return inv.told }

func (inv *Inventory) tellLocked() {
	select {
	case <-inv.told:
	default:
		close(inv.told)
	}
}

// Nodes returns all nodes, by name and UUID. Until Told there are none.
func (inv *Inventory) Nodes() (nodes []Node) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := time.Now()
	for _, k := range inv.nodes {
		nodes = append(nodes, k.show(now))
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UUID, b.UUID)) })
	return nodes
}

func (k *known) show(now time.Time) Node {
	ports := make([]ipxe.Port, 0, len(k.ports))
	for _, address := range slices.Sorted(maps.Keys(k.ports)) {
		ports = append(ports, k.ports[address].Port)
	}
	return Node{UUID: k.uuid, Name: k.name, Asset: k.asset, State: k.state, StateUpdated: k.stateUpdated, Ports: ports, Age: now.Sub(k.asked),
		Restored: k.restored, Facts: k.node}
}

// Size is how many nodes and addresses there are, and how old the last full reading is; -1 before the first.
func (inv *Inventory) Size() (nodes, addresses int, age time.Duration) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	age = -1
	if !inv.complete.IsZero() {
		age = time.Since(inv.complete)
	}
	return len(inv.nodes), len(inv.owners), age
}

// Owner returns the UUID of the node that has the address, or nothing.
func (inv *Inventory) Owner(address string) string {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if k := inv.owners[address]; k != nil {
		return k.uuid
	}
	return ""
}

// Knows reports whether a node with that address, or else of that UUID, is in the inventory.
func (inv *Inventory) Knows(address, uuid string) bool {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.owners[address] != nil || inv.nodes[uuid] != nil
}

// Learn takes in what Ironic said when it was asked for one node, by address or by UUID.
func (inv *Inventory) Learn(address string, n *ipxe.Node, asked time.Time, began uint64) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	k := inv.nodes[n.UUID]
	if old := inv.owners[address]; address != "" && old != nil && old != k && !old.ports[address].asked.After(asked) {
		inv.disownLocked(old, address)
	}
	if k == nil {
		return // another site's, or it is not listed yet
	}
	if !k.asked.After(asked) {
		inv.factsLocked(k, n, asked, began)
	}
	if old := inv.owners[address]; address != "" && (old == nil || old == k && !k.ports[address].asked.After(asked)) {
		inv.ownLocked(k, n.Port, asked)
	}
	inv.holdLocked(k)
}

// LearnGone takes in that Ironic knows no node by that address, or else by that UUID.
func (inv *Inventory) LearnGone(address, uuid string, asked time.Time) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if address != "" {
		if k := inv.owners[address]; k != nil && !k.ports[address].asked.After(asked) {
			inv.disownLocked(k, address)
		}
		return
	}
	if k := inv.nodes[uuid]; k != nil && !k.asked.After(asked) {
		inv.removeLocked(k)
	}
}

// factsLocked replaces what is known of a node itself.
func (inv *Inventory) factsLocked(k *known, n *ipxe.Node, asked time.Time, began uint64) {
	facts := *n
	facts.Port = ipxe.Port{}
	inv.changed = inv.changed || k.node == nil || k.state != n.ProvisionState || k.restored
	k.node, k.name, k.state, k.asked, k.began, k.restored = &facts, n.Name, n.ProvisionState, asked, began, false
}

// ownLocked gives a node an address that nobody else has.
func (inv *Inventory) ownLocked(k *known, p ipxe.Port, asked time.Time) {
	old, ok := k.ports[p.Address]
	inv.changed = inv.changed || !ok || old.Port != p
	k.ports[p.Address], inv.owners[p.Address] = port{p, asked}, k
}

func (inv *Inventory) disownLocked(k *known, address string) {
	delete(k.ports, address)
	delete(inv.owners, address)
	inv.changed = true
	inv.config.Answers.Drop(k.uuid, address)
}

func (inv *Inventory) removeLocked(k *known) {
	for address := range k.ports {
		inv.disownLocked(k, address)
	}
	delete(inv.nodes, k.uuid)
	inv.changed = true
	inv.config.Answers.Drop(k.uuid, "")
	inv.config.Answers.Forget(k.uuid)
}

// holdLocked has what is known of a node used under all of its names.
func (inv *Inventory) holdLocked(k *known) {
	if k.node == nil {
		return
	}
	f := Facts{Node: k.node, Asked: k.asked, Since: k.asked, Began: k.began, Restored: k.restored}
	inv.config.Answers.Hold("", f)
	for address, p := range k.ports {
		n := *k.node
		n.Port = p.Port
		f.Node, f.Since = &n, k.asked
		if p.asked.Before(k.asked) {
			f.Since = p.asked
		}
		inv.config.Answers.Hold(address, f)
	}
}

// Closed says that a node has left the state in which it was last seen. Answers have been told already.
func (inv *Inventory) Closed(uuid string) { inv.file.closed(strings.ToLower(uuid)) }
