// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/caddymodule/inventory"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// overview is what the admin API and the status page show of the edges of a configuration. It is made for one request, at
// the end of which it is released.
type overview struct {
	held     []*Handler      // for which it is a request
	running  context.Context // ends with the configuration
	handlers []*Handler
	names    []string
	listed   []boots.Boot // once it was asked for
}

func overviewOf(a *App) *overview {
	a.names() // which all handlers have from then on
	o := &overview{running: a.ctx}
	for _, h := range slices.SortedStableFunc(slices.Values(a.handlers), inOrder) {
		h.requests.Add(1)
		o.held, o.handlers, o.names = append(o.held, h), append(o.handlers, h), append(o.names, h.name)
	}
	return o
}

// release is the end of the request that the overview was made for: a configuration that is over keeps what it uses until
// then.
func (o *overview) release() {
	for _, h := range o.held {
		h.requestEnds()
	}
	o.held = nil
}

// inOrder has edges in the same order after each reload, those with a public_url first: Caddy makes servers in any order.
func inOrder(a, b *Handler) int {
	unnamed := func(h *Handler) int {
		if h.publicURL == "" {
			return 1
		}
		return 0
	}
	return cmp.Or(unnamed(a)-unnamed(b), strings.Compare(a.name, b.name))
}

// fault is what a caller of the admin API did wrong, or what is not there.
type fault struct {
	status       int
	reason, text string
}

func (f *fault) Error() string { return f.text }

// faultOf makes an answer of an error. Its text is for people, and holds no secret: errors of ours do not.
func faultOf(err error) *fault {
	var f *fault
	var e *ironic.Error
	var nothing *ipxe.NotBootable
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &nothing):
		return &fault{http.StatusNotFound, string(nothing.Reason), err.Error()}
	case errors.Is(err, ironic.ErrNoNode):
		return &fault{http.StatusNotFound, reasonNoNode, "no node is called that; give a UUID, a MAC address or a name that Ironic knows (ironic-edge nodes lists some)"}
	case errors.Is(err, lookup.ErrSlow):
		return &fault{http.StatusServiceUnavailable, reasonSlow, "Ironic has not answered yet, and is asked on; try again in a moment"}
	case errors.As(err, &e):
		return &fault{http.StatusServiceUnavailable, reasonUnavailable, err.Error()}
	}
	return &fault{http.StatusUnprocessableEntity, "failed", err.Error()}
}

// only returns the edge of a name, or all without one.
func (o *overview) only(name string) (*overview, error) {
	if name == "" {
		return o, nil
	}
	i := slices.Index(o.names, name)
	if i < 0 {
		return nil, &fault{http.StatusNotFound, "no_edge", "no edge is called that; ironic-edge status lists them"}
	}
	one := o.at(i)
	one.held = o.held
	return one, nil
}

// at is the part of one edge.
func (o *overview) at(i int) *overview {
	return &overview{running: o.running, handlers: o.handlers[i : i+1], names: o.names[i : i+1]}
}

// sites are the edges' sites, each once.
func (o *overview) sites() []*site {
	var sites []*site
	for _, h := range o.handlers {
		if !slices.Contains(sites, h.site) {
			sites = append(sites, h.site)
		}
	}
	return sites
}

// Boots returns the boots, the newest first.
func (o *overview) Boots() []boots.Boot {
	if o.listed != nil {
		return slices.Clone(o.listed)
	}
	o.listed = []boots.Boot{}
	for _, s := range o.sites() {
		o.listed = append(o.listed, s.boots.List(boots.Filter{})...)
	}
	slices.SortStableFunc(o.listed, func(a, b boots.Boot) int { return b.Started.Compare(a.Started) })
	return slices.Clone(o.listed)
}

// Silent returns the nodes for which Ironic waits and that have not asked.
func (o *overview) Silent() []boots.Silent {
	silent := []boots.Silent{}
	for _, s := range o.sites() {
		silent = append(silent, s.boots.Silent()...)
	}
	return silent
}

// Strays returns the machines that Ironic does not know.
func (o *overview) Strays() []boots.Stray {
	strays := []boots.Stray{}
	for _, s := range o.sites() {
		strays = append(strays, s.boots.Strays()...)
	}
	return strays
}

// Wait returns when something has changed since the version.
func (o *overview) Wait(ctx context.Context, version uint64) (uint64, error) {
	for {
		now, changed := uint64(0), make([]<-chan struct{}, 0, 2)
		for _, s := range o.sites() {
			changed = append(changed, s.boots.Changed())
			now += s.boots.Version()
		}
		if now != version {
			return now, nil
		}
		if err := first(ctx, changed); err != nil {
			return 0, err
		}
	}
}

// waitHere is Wait, and ends with the configuration.
func (o *overview) waitHere(ctx context.Context, version uint64) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.running, cancel)()
	return o.Wait(ctx, version)
}

// first waits until one of the channels is closed.
func first(ctx context.Context, changed []<-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closed := make(chan struct{}, len(changed))
	for _, c := range changed {
		go func() { // ends with the first of them
			select {
			case <-c:
				closed <- struct{}{}
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status says how everything is.
func (o *overview) Status() api.Status {
	s := api.Status{Version: version(), Time: time.Now()}
	for i, h := range o.handlers {
		all := o.at(i).Boots()
		e := api.Edge{Name: o.names[i], Ironic: h.ironicView(), Boots: make(map[string]int), Stages: make(map[string]int), Refusals: h.site.refused.list()}
		for j := range all {
			e.Boots[string(all[j].Outcome)]++
			if all[j].Over() {
				continue
			}
			e.Stages[string(all[j].Stage)]++
			if all[j].Outcome == boots.Stuck {
				e.Stuck++
			}
		}
		if h.notifications != nil {
			e.Notifications = h.site.feed.view()
		}
		if h.roster != nil {
			e.Inventory = h.inventoryView()
		}
		if store := h.storage.opened(); store != nil {
			stats := store.Stats()
			e.Store = &api.Store{Directory: h.Store.Directory, Objects: int(stats.Objects), Filling: int(stats.Filling), Used: stats.Bytes,
				Size: stats.MaxBytes, Fetched: stats.Received, Sent: h.storage.sent.Load(), Bad: stats.BadObjects}
		}
		s.Edges = append(s.Edges, e)
	}
	return s
}

func (h *Handler) ironicView() api.Ironic {
	up, since, err := h.site.gate.state()
	v := api.Ironic{URLs: strings.Fields(h.site.name), Up: up}
	if !since.IsZero() {
		v.Since = &since
	}
	if err != nil {
		v.Reason = err.Error()
	}
	return v
}

func (h *Handler) inventoryView() *api.Inventory {
	nodes := h.roster.Nodes()
	_, _, age := h.roster.Size()
	v := &api.Inventory{Scope: h.roster.scope.String(), Nodes: len(nodes), States: make(map[string]int), Age: age.Seconds()}
	for _, n := range nodes {
		v.States[string(n.State)]++
	}
	return v
}

// Nodes returns the nodes of the inventories, and others that booted, with how far their boot is.
func (o *overview) Nodes() []api.Node {
	nodes, at := []api.Node{}, make(map[string]int)
	for i, h := range o.handlers {
		if h.roster == nil {
			continue
		}
		for _, n := range h.roster.Nodes() {
			if _, there := at[n.UUID]; there {
				continue
			}
			at[n.UUID] = len(nodes)
			node := listedNode(o.names[i], n)
			node.Asked = h.site.boots.Asked(n.UUID)
			nodes = append(nodes, node)
		}
	}
	seen := make(map[string]bool)
	for _, b := range o.Boots() {
		if b.Node == "" || seen[b.Node] {
			continue // an older one
		}
		seen[b.Node] = true
		j, there := at[b.Node]
		if !there {
			j = len(nodes)
			nodes = append(nodes, api.Node{UUID: b.Node, Name: b.Name, MACs: append([]string{}, b.MACs...), State: b.State, Age: time.Since(b.Seen).Seconds(), Asked: b.Seen})
		}
		nodes[j].Stage = string(b.Stage)
		if len(b.Diagnoses) > 0 {
			nodes[j].Advice = b.Diagnoses[0].Next
		}
	}
	for _, s := range o.Silent() {
		if j, there := at[s.Node]; there {
			nodes[j].Stage, nodes[j].Advice = "silent", s.Diagnosis.Next
		}
	}
	return nodes
}

// listedNode is a node of an inventory.
func listedNode(edge string, n inventory.Node) api.Node {
	v := api.Node{Edge: edge, UUID: n.UUID, Name: n.Name, Asset: n.Asset, MACs: make([]string, len(n.Ports)), State: string(n.State), Age: n.Age.Seconds(), Changed: n.StateUpdated}
	for i, p := range n.Ports {
		v.MACs[i] = p.Address
	}
	return v
}

// Images returns what is in the stores.
func (o *overview) Images() []api.Image {
	images, seen := []api.Image{}, make(map[*storage]bool)
	for i, h := range o.handlers {
		store := h.storage.opened()
		if store == nil || seen[h.storage] {
			continue
		}
		seen[h.storage] = true
		for _, info := range store.Infos() {
			image := api.Image{Edge: o.names[i], ID: info.ID, Size: info.Size, Stored: info.Stored, State: string(info.State),
				Readers: info.Readers, Used: info.LastUse, Pinned: info.Pinned}
			image.Digest, _, _ = strings.Cut(info.Digest, ":")
			for _, key := range info.Keys {
				name, _, _ := strings.Cut(key, "\x00") // what follows tells variants apart
				image.Keys = append(image.Keys, name)
			}
			if info.Fill != nil {
				image.Rate = info.Fill.Rate
			}
			images = append(images, image)
		}
	}
	return images
}
