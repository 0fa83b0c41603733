// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/caddymodule/inventory"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// roster is the inventory of a part of an Ironic's nodes, for all configurations that have the option site about it.
type roster struct {
	*inventory.Inventory
	held  lookup.Held[*knownNode]
	scope ironic.Scope
	file  string

	references int // guarded by site.mu

	newest atomic.Pointer[Handler] // of users, the one that started last
	mu     sync.Mutex
	users  []*Handler // in the order of their start
	stop   func()     // set while it is read

	// Of the goroutine that reads.
	read    bool // it has been, once
	failing bool
	unsaved bool
}

// acquireRoster takes a reference to the inventory that the option site is about. Nothing is read yet.
func (h *Handler) acquireRoster(c *sitePart) {
	if c == nil {
		return
	}
	s := h.site
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.rosters, func(r *roster) bool { return r.scope == c.scope && r.file == c.file })
	if i < 0 {
		r := &roster{scope: c.scope, file: c.file}
		r.Inventory = inventory.New(inventory.Config{Scope: c.scope, Source: r.source, Answers: rosterAnswers{s.nodes, &r.held},
			MaxNodes: maxNodes, Report: r.report, File: c.file, Identity: c.identity}, h.rosterSettings(c))
		i, s.rosters = len(s.rosters), append(s.rosters, r)
	}
	h.roster = s.rosters[i]
	h.roster.references++
	h.settings = h.rosterSettings(c)
	h.terms.Held, h.imageTerms.Held = &h.roster.held, &h.roster.held
}

func (h *Handler) rosterSettings(c *sitePart) inventory.Settings {
	return inventory.Settings{Interval: c.interval, Fresh: h.terms.Value, Longest: h.windows.longest()}
}

// startRoster has the inventory read, by this configuration's settings from now on.
func (h *Handler) startRoster() {
	r := h.roster
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users = append(r.users, h)
	r.newest.Store(h)
	r.Set(h.settings)
	if r.stop != nil {
		return
	}
	h.logger.Info("the site's nodes are being read", zap.Stringer("site", r.scope), zap.Duration("interval", h.settings.Interval))
	switch n, err := r.Restore(); {
	case err != nil:
		h.logger.Warn("what was kept of the site's nodes is not used; they are unknown until Ironic can be asked", zap.String("snapshot", r.file), zap.Error(err))
	case n > 0:
		h.logger.Info("what was kept of the site's nodes is used until Ironic confirms it", zap.String("snapshot", r.file), zap.Int("nodes", n))
	}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), forInventory{}, true))
	done := make(chan struct{})
	r.stop = func() {
		cancel()
		<-done
	}
	go func() { // ends when the last user stops it
		defer close(done)
		r.Run(ctx)
	}()
}

// releaseRoster gives back what acquireRoster and startRoster took.
func (h *Handler) releaseRoster() {
	r := h.roster
	if r == nil {
		return
	}
	r.leave(h)
	h.site.mu.Lock()
	defer h.site.mu.Unlock()
	if r.references--; r.references == 0 {
		h.site.rosters = slices.DeleteFunc(h.site.rosters, func(other *roster) bool { return other == r })
	}
}

// leave ends the reading with the last user.
func (r *roster) leave(h *Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.users, h)
	if i < 0 {
		return // it never started
	}
	r.users = slices.Delete(r.users, i, i+1)
	if n := len(r.users); n > 0 {
		r.newest.Store(r.users[n-1])
		r.Set(r.users[n-1].settings)
		return
	}
	r.stop()
	r.stop = nil
}

// tellTimeline tells the timeline of boots which states the site's nodes are in.
func (s *site) tellTimeline() {
	s.boots.Inventory(func(yield func(boots.Node) bool) {
		for _, inv := range s.inventories() {
			for _, n := range inv.Nodes() {
				if !yield(boots.Node{UUID: n.UUID, Name: n.Name, State: string(n.State), Since: n.StateUpdated}) {
					return
				}
			}
		}
	})
}

func (r *roster) source() inventory.Source {
	h := r.newest.Load()
	return siteSource{h.client, h.site.gate}
}

// siteSource is what the inventory asks. Readings come at their own interval also while Ironic is down, as one look more;
// single nodes, of which something was heard, do not.
type siteSource struct {
	*ironic.Client
	gate *gate
}

// NodeByUUID asks for a node unless Ironic is down.
func (s siteSource) NodeByUUID(ctx context.Context, uuid string) (*ipxe.Node, error) {
	if err := s.gate.down(); err != nil {
		return nil, err
	}
	node, err := s.Client.NodeByUUID(ctx, uuid)
	s.gate.learn(uuidKey(uuid), err)
	return node, err
}

// report logs what an operator has to know, and counts the rest. The gate learns from each reading.
func (r *roster) report(read inventory.Reading) {
	h := r.newest.Load()
	h.site.gate.learn("the site's nodes", read.Err)
	log := h.logger.With(zap.Stringer("site", r.scope))
	outcome := "ok"
	switch {
	case errors.Is(read.Err, ironic.ErrBadAnswer):
		outcome = "bad_answer"
	case read.Err != nil:
		outcome = "unavailable"
	}
	h.metrics.readings.WithLabelValues(string(read.Kind), outcome).Inc()
	if read.Err == nil {
		h.site.tellTimeline()
	}
	size := []zap.Field{zap.Int("nodes", read.Nodes), zap.Int("addresses", read.Addresses), zap.Duration("took", read.Took)}
	switch {
	case read.Err != nil && !r.failing:
		log.Warn("the site's nodes cannot be read; what is known of them is used as far as `stale` allows. "+
			"See to Ironic, the line or the edge's account there; it is tried again at each interval", zap.Error(read.Err))
	case read.Err == nil && read.Kind == inventory.Full && (r.failing || !r.read):
		log.Info("the site's nodes have been read", size...)
		if read.Unusable > 0 {
			log.Warn("some of the site's nodes or ports cannot be used; the log says more when one of them boots", zap.Int("unusable", read.Unusable))
		}
		if read.Cut {
			log.Warn("the site has more nodes than are kept; choose a smaller part of Ironic's", zap.Int("nodes", read.Nodes))
		}
		r.read = true
	}
	if r.failing && read.Err == nil && read.Kind != inventory.Full {
		return // said to be over when all has been read
	}
	r.failing = read.Err != nil
	if read.Saved != nil && !r.unsaved {
		log.Warn("the site's nodes cannot be written down, and would be lost in a restart; see to the snapshot's directory", zap.Error(read.Saved))
	}
	r.unsaved = read.Saved != nil
}

// rosterAnswers is what the inventory fills.
type rosterAnswers struct {
	nodes *lookup.Cache[*knownNode]
	held  *lookup.Held[*knownNode]
}

func (a rosterAnswers) Hold(address string, f inventory.Facts) {
	a.nodes.Hold(a.held, rosterKey(f.Node.UUID, address), lookup.Offer[*knownNode]{
		Value: &knownNode{node: f.Node}, Asked: f.Asked, Since: f.Since, Began: f.Began, Restored: f.Restored})
}

func (a rosterAnswers) Drop(uuid, address string) { a.nodes.Drop(a.held, rosterKey(uuid, address)) }
func (a rosterAnswers) Forget(uuid string)        { a.nodes.Forget(uuid) }
func (a rosterAnswers) Epoch() uint64             { return a.nodes.Epoch() }
func (a rosterAnswers) Forgotten(uuid string, began uint64) bool {
	return a.nodes.Forgotten(uuid, began)
}

func rosterKey(uuid, address string) string {
	if address != "" {
		return macKey(ipxe.MAC(address))
	}
	return uuidKey(uuid)
}

// forInventory marks the context of calls that are not made for a machine.
type forInventory struct{}
