// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// Kind is a kind of reading.
type Kind string

// The kinds. After the first, full readings come in the place of each tenth of the others on average, when something is
// found for which a quick one is not enough, after a failure, and when many machines want their nodes confirmed.
const (
	Full  Kind = "full"
	Quick Kind = "quick"
)

// Reading is what came of one.
type Reading struct {
	Kind      Kind
	Err       error
	Took      time.Duration
	Nodes     int // in the inventory
	Addresses int
	Unusable  int   // nodes or ports that Ironic listed and nothing can be made of
	Cut       bool  // there are more than MaxNodes
	Saved     error // of writing the file
}

const (
	// breath is how long no full reading is begun after one that failed. Who wants one gets its error meanwhile.
	breath = time.Second
	// fewest is how many machines may look up their nodes alone within the time for which facts are fresh, in a small site.
	fewest = 8
	// share of a site's nodes that may. A look-up costs Ironic two calls and some 13 ms; a list costs 0.65 ms for each node.
	share = 50
)

// round is a full reading for which machines wait.
type round struct {
	done chan struct{}
	err  error // valid after done
}

var errStopped = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "read the site's nodes", Reason: "closed", Err: errors.New("the inventory is not read any more")}

// maxWaiting bounds who waits for a reading, a connection and a goroutine each. A reading takes a second or two, after which
// those that were sent away find their facts.
const maxWaiting = 1024

// ErrBusy is the error for who comes when so many wait already.
var ErrBusy = errors.New("inventory: too many wait for a reading of the site's nodes")

// Confirm asks Ironic again for the node of an address, or else of a UUID, when that is dear: when many ask. It returns
// false for the caller to look the node up alone. A node that it returns was asked for after the call; an error may be that of
// a reading that failed just before.
//
// Within Settings.Fresh, eight machines or a fiftieth of the site's nodes are told to look for themselves; the others wait
// for a full reading, which makes all facts fresh. Those that come while one is under way wait for the next. So whatever
// machines ask about the site's nodes costs Ironic, within that time, no more than these look-ups and two readings.
func (inv *Inventory) Confirm(ctx context.Context, address, uuid string) (*ipxe.Node, bool, error) {
	inv.mu.Lock()
	came := time.Now()
	ours := inv.owners[address] != nil || inv.nodes[uuid] != nil
	if !inv.running || !ours && !inv.complete.IsZero() {
		inv.mu.Unlock()
		return nil, false, nil
	}
	if came.Sub(inv.single.since) >= inv.settings.Load().Fresh {
		inv.single.since, inv.single.n = came, 0
	}
	if inv.single.n < max(fewest, len(inv.nodes)/share) {
		inv.single.n++
		inv.mu.Unlock()
		return nil, false, nil
	}
	if inv.failed != nil && came.Sub(inv.failedAt) < breath {
		defer inv.mu.Unlock()
		return nil, true, inv.failed
	}
	if inv.waiting >= maxWaiting {
		defer inv.mu.Unlock()
		return nil, true, ErrBusy
	}
	if inv.next == nil {
		inv.next = &round{done: make(chan struct{})}
	}
	r := inv.next
	inv.waiting++
	inv.mu.Unlock()
	defer func() {
		inv.mu.Lock()
		inv.waiting--
		inv.mu.Unlock()
	}()
	inv.wake()
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
	if r.err != nil {
		return nil, true, r.err
	}
	n := inv.since(address, uuid, came)
	return n, n != nil, nil
}

// since returns a node if it was asked for no earlier than a time.
func (inv *Inventory) since(address, uuid string, came time.Time) *ipxe.Node {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	k, p := inv.nodes[uuid], port{asked: came}
	if address != "" {
		if k = inv.owners[address]; k != nil {
			p = k.ports[address]
		}
	}
	if k == nil || k.node == nil || k.asked.Before(came) || p.asked.Before(came) {
		return nil
	}
	n := *k.node
	n.Port = p.Port
	return &n
}

// Refresh has a node asked for soon, if it is the site's; nothing is waited for.
func (inv *Inventory) Refresh(uuid string) {
	inv.mu.Lock()
	ours := inv.nodes[uuid] != nil
	if ours {
		inv.refresh[uuid] = true
	}
	inv.mu.Unlock()
	if ours {
		inv.wake()
	}
}

func (inv *Inventory) wake() {
	select {
	case inv.kick <- struct{}{}:
	default:
	}
}

// Run reads the nodes until the context ends, and writes down what is known then. It must run once at a time.
func (inv *Inventory) Run(ctx context.Context) {
	inv.mu.Lock()
	inv.running = true
	inv.mu.Unlock()
	defer inv.stop()
	quick := 0 // readings to come before the next full one
	for {
		more := quick == 0
		if quick--; !more {
			var err error
			if more, err = inv.quick(ctx); err != nil {
				quick = 0
			}
		}
		if more {
			quick = 0
			if inv.fullRound(ctx) == nil {
				quick = 7 + rand.IntN(5)
			}
		}
		if !inv.pause(ctx, &quick) {
			return
		}
	}
}

// pause waits for the time of the next reading and meanwhile does what cannot wait. It reports whether there is to be one.
func (inv *Inventory) pause(ctx context.Context, quick *int) bool {
	begun, spread := time.Now(), 0.9+rand.Float64()/5 // edges that were started together part
	for {
		length := time.Duration(float64(inv.settings.Load().Interval) * spread)
		timer := time.NewTimer(time.Until(begun.Add(length)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			return true
		case <-inv.kick:
			timer.Stop()
		}
		inv.mu.Lock()
		waited, nodes := inv.next != nil, slices.Collect(maps.Keys(inv.refresh))
		clear(inv.refresh)
		few := max(fewest, len(inv.nodes)/share)
		inv.mu.Unlock()
		if waited || len(nodes) > few {
			if inv.fullRound(ctx) != nil {
				*quick = 0
				if !wait(ctx, breath) { // those who wait are no reason to ask all the time
					return false
				}
			}
			continue
		}
		for _, uuid := range nodes {
			inv.askFor(ctx, uuid)
		}
	}
}

// wait reports whether a time has passed before the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// askFor asks for one node.
func (inv *Inventory) askFor(ctx context.Context, uuid string) {
	asked, began := time.Now(), inv.config.Answers.Epoch()
	n, err := inv.config.Source().NodeByUUID(ctx, uuid)
	switch {
	case err == nil:
		inv.Learn("", n, asked, began)
	case errors.Is(err, ironic.ErrNoNode):
		inv.LearnGone("", uuid, asked)
	}
}

// stop ends the waiting.
func (inv *Inventory) stop() {
	inv.mu.Lock()
	inv.running = false
	r := inv.next
	inv.next = nil
	inv.mu.Unlock()
	if r != nil {
		r.err = errStopped
		close(r.done)
	}
	_ = inv.save()
}

// fullRound does a full reading for all who wait by now.
func (inv *Inventory) fullRound(ctx context.Context) error {
	inv.mu.Lock()
	r := inv.next
	inv.next = nil
	inv.mu.Unlock()
	err := inv.full(ctx)
	inv.mu.Lock()
	inv.failed, inv.failedAt = err, time.Now()
	inv.mu.Unlock()
	if r != nil {
		if r.err = err; ctx.Err() != nil {
			r.err = errStopped
		}
		close(r.done)
	}
	return err
}

// full reads everything.
func (inv *Inventory) full(ctx context.Context) error {
	read := Reading{Kind: Full}
	asked, began := time.Now(), inv.config.Answers.Epoch()
	l, err := inv.list(ctx, &read)
	if err == nil {
		inv.mu.Lock()
		inv.takeLocked(l, asked, began)
		inv.complete, inv.changed = asked, true
		inv.tellLocked()
		inv.mu.Unlock()
	}
	return inv.report(ctx, read, asked, err)
}

// lists are what a full reading brings.
type lists struct {
	nodes []ironic.Listed
	bad   map[string]bool // nodes that are there and cannot be used, by UUID
	ports []ironic.NodePort
}

func (inv *Inventory) list(ctx context.Context, read *Reading) (lists, error) {
	source, scope := inv.config.Source(), inv.config.Scope
	l := lists{bad: make(map[string]bool)}
	var facts []*ipxe.Node
	for n, err := range source.Nodes(ctx, scope) {
		if n.Node == nil {
			return l, err
		}
		if read.Cut = len(l.nodes) == inv.config.MaxNodes; read.Cut {
			break
		}
		if l.nodes = append(l.nodes, n); err != nil {
			l.bad[n.UUID] = true
			continue
		}
		facts = append(facts, n.Node)
	}
	unusable, err := source.AddVolumes(ctx, facts)
	if err != nil {
		return l, err
	}
	for uuid := range unusable {
		l.bad[uuid] = true
	}
	read.Unusable = len(l.bad)
	for p, err := range source.Ports(ctx, scope) {
		switch {
		case err == nil:
			l.ports = append(l.ports, p)
		case p.Node == "":
			return l, err
		default:
			read.Unusable++
		}
	}
	return l, nil
}

// takeLocked takes in the lists. What has been asked for since they were begun is newer.
func (inv *Inventory) takeLocked(l lists, asked time.Time, began uint64) {
	listed := make(map[string]bool, len(l.nodes))
	for _, n := range l.nodes {
		listed[n.UUID] = true
		k := inv.nodes[n.UUID]
		if k == nil {
			k = &known{uuid: n.UUID, ports: make(map[string]port)}
			inv.nodes[n.UUID] = k
		}
		inv.updateLocked(k, n, l.bad[n.UUID], asked, began)
	}
	for _, k := range inv.nodes {
		if !listed[k.uuid] && !k.asked.After(asked) {
			inv.removeLocked(k)
		}
	}
	inv.takePortsLocked(l.ports, asked)
	for _, n := range l.nodes {
		inv.holdLocked(inv.nodes[n.UUID])
	}
}

func (inv *Inventory) takePortsLocked(ports []ironic.NodePort, asked time.Time) {
	now := make(map[string]bool, len(ports))
	for _, p := range ports {
		k := inv.nodes[p.Node]
		if k == nil || now[p.Address] { // of another site; a portgroup with the address of a port
			continue
		}
		now[p.Address] = true
		if old := inv.owners[p.Address]; old != nil {
			if old.ports[p.Address].asked.After(asked) {
				continue
			}
			if old != k {
				inv.disownLocked(old, p.Address)
			}
		}
		inv.ownLocked(k, p.Port, asked)
	}
	for address, k := range inv.owners {
		if !now[address] && !k.ports[address].asked.After(asked) {
			inv.disownLocked(k, address)
		}
	}
}

// updateLocked takes in a node as it was listed. If its state has changed and it cannot be used, nor can be what it was.
func (inv *Inventory) updateLocked(k *known, n ironic.Listed, unusable bool, asked time.Time, began uint64) {
	if k.asked.After(asked) {
		return
	}
	changed := !n.StateUpdated.Equal(k.stateUpdated)
	if !unusable {
		inv.factsLocked(k, n.Node, asked, began)
	} else if changed {
		inv.config.Answers.Forget(k.uuid)
	}
	inv.changed = inv.changed || changed
	k.stateUpdated, k.asset = n.StateUpdated, n.Asset
}

// isKnown reports whether a node's state is known.
func (inv *Inventory) isKnown(n ironic.Listed) bool {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	k := inv.nodes[n.UUID]
	return k != nil && k.stateUpdated.Equal(n.StateUpdated)
}

// quick reads what changed last. It reports whether that calls for a full reading.
func (inv *Inventory) quick(ctx context.Context) (more bool, err error) {
	asked, began := time.Now(), inv.config.Answers.Epoch()
	nodes, all, err := inv.config.Source().Changed(ctx, inv.config.Scope, inv.isKnown)
	if err == nil {
		more = !all
		inv.mu.Lock()
		for _, n := range nodes {
			k := inv.nodes[n.UUID]
			switch {
			case k == nil: // its addresses are not known
				more = true
			case n.BootVolume == "":
				inv.updateLocked(k, n, n.ProvisionState == "", asked, began)
				inv.holdLocked(k)
			case !n.StateUpdated.Equal(k.stateUpdated): // its volumes are not listed here
				inv.config.Answers.Forget(k.uuid)
				more = true
			}
		}
		inv.mu.Unlock()
	}
	return more, inv.report(ctx, Reading{Kind: Quick}, asked, err)
}

// report completes the result of a reading, writes down what is known if it is time, and passes the result on.
func (inv *Inventory) report(ctx context.Context, read Reading, began time.Time, err error) error {
	read.Err, read.Took = err, time.Since(began)
	read.Nodes, read.Addresses, _ = inv.Size()
	if err == nil && inv.file.due(inv.settings.Load().Interval) {
		read.Saved = inv.save()
	}
	if ctx.Err() == nil {
		inv.config.Report(read)
	}
	return err
}
