// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/time/rate"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/notification"
)

// sites holds what must outlive a reload. The key is the API's endpoint and the identity by which it is asked: what one
// identity may read is not shown to another.
var sites = caddy.NewUsagePool()

// site is what is known of the nodes behind one Ironic.
type site struct {
	name   string // in the log and the metrics
	nodes  *lookup.Cache[*knownNode]
	client atomic.Pointer[ironic.Client] // of the configuration that started last
	glance knownImages
	gate   *gate
	rates  clientRates

	middles middles

	seen       *seen.Log // nodes, by their scripts of the agent
	strangers  *seen.Log // machines without a node; apart, since anybody can name any number of them
	began      time.Time // when seen began
	refused    refusals
	lookups    exchanges
	conductor  conductorScripts
	complaints rate.Sometimes // about calls of agents
	boots      *timeline
	feed       feed

	mu      sync.Mutex
	rosters []*roster // the inventories that are in use
}

// maxNodes bounds what is remembered: a node takes a few kilobytes, and a rack has some hundred of them.
const maxNodes = 20_000

// maxSeen and maxStrangers bound what is remembered of boots, some hundred bytes each.
const (
	maxSeen      = 50_000
	maxStrangers = 10_000
)

// Destruct is called when no configuration uses the site any more.
func (s *site) Destruct() error {
	s.gate.close()
	s.lookups.close()
	s.conductor.close()
	s.boots.close()
	collectors.up.DeleteLabelValues(s.name)
	return s.nodes.Close()
}

// newSite returns a site whose Ironic goes by a name in the log and the metrics.
func newSite(name string) (*site, error) {
	nodes, err := lookup.New(lookup.Config[*knownNode]{
		Group:      func(n *knownNode) string { return n.node.UUID },
		Negative:   func(err error) bool { return errors.Is(err, ironic.ErrNoNode) },
		MaxEntries: maxNodes,
	})
	if err != nil {
		return nil, err
	}
	s := &site{name: name, nodes: nodes, seen: seen.New(maxSeen), strangers: seen.New(maxStrangers), began: time.Now(),
		complaints: rate.Sometimes{First: 10, Interval: 10 * time.Second}, boots: newTimeline()}
	s.feed.site = s
	collectors.up.WithLabelValues(name).Set(1)
	s.gate = newGate(s.lookForIronic, func(c ironicChange) { s.tellOfIronic(c) })
	return s, nil
}

// lookForIronic reports why Ironic does not answer, if it does not.
func (s *site) lookForIronic(ctx context.Context) error {
	client := s.client.Load()
	if client == nil {
		return errDismissed
	}
	return client.Check(ctx)
}

// siteKey is the identity of a site, and what its Ironic is called.
func siteKey(c *config) (key, name string) {
	endpoints := append([]string{c.ironic.Endpoint}, c.ironic.Others...)
	slices.Sort(endpoints) // in whichever order, it is one Ironic
	name = cmp.Or(strings.Join(endpoints, " "), c.ironic.Auth.Cloud)
	return strings.Join([]string{name, c.ironic.Auth.Kind, c.ironic.Auth.Username, c.ironic.Auth.Cloud, c.ironic.Auth.CloudsFile}, "\x00"), name
}

// acquireSite takes a reference to the shared site. It changes nothing in it: another configuration may be using it, and
// this one may yet fail to start.
func (h *Handler) acquireSite(c *config) error {
	key, name := siteKey(c)
	value, _, err := sites.LoadOrNew(key, func() (caddy.Destructor, error) { return newSite(name) })
	if err != nil {
		return err
	}
	h.siteKey, h.site = key, value.(*site)
	h.site.client.CompareAndSwap(nil, h.client)
	h.acquireRoster(c.site)
	return nil
}

// releaseSite gives back the one reference that acquireSite took, and nothing if it took none: Caddy calls Cleanup also
// after a failed Provision, and a reference too many would take the site away from the configuration that is running.
func (h *Handler) releaseSite() error {
	if h.siteKey == "" {
		return nil
	}
	h.releaseRoster()
	_, err := sites.Delete(h.siteKey)
	h.siteKey = ""
	return err
}

// changed makes stale what a change in Ironic is about, "no such node" included.
func (s *site) changed(c notification.Change) {
	if c.Node != "" {
		s.forgetNode(c.Node)
		s.nodes.ForgetKey(uuidKey(c.Node))
		s.refreshNode(c.Node)
	}
	if c.MAC != "" {
		s.forgetAddress(ipxe.MAC(c.MAC))
	}
}

// setCacheStatus says how a node was found (RFC 9211).
func setCacheStatus(w http.ResponseWriter, e lookup.Entry[*knownNode]) {
	w.Header()["Cache-Status"] = []string{string(e.Status.AppendHeader(make([]byte, 0, 48), "ironic-edge", e.TTL))}
}
