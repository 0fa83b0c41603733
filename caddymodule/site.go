// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/inventory"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// Site is the part of Ironic's nodes that this edge is there for. They are listed beforehand, in a few calls for all of them,
// so that a machine that boots while Ironic is gone finds its node even if it has not booted here before. What is known of
// them is kept in a file, without secrets, for when the edge starts while Ironic is gone. Machines of other nodes are
// served all the same, by asking Ironic for each. Give one of conductor_group, shard and all.
type Site struct {
	// The nodes of a conductor group.
	ConductorGroup string `json:"conductor_group,omitempty"`
	// The nodes of a shard. Takes Ironic 21.4 or newer.
	Shard string `json:"shard,omitempty"`
	// All nodes that Ironic shows to the edge's account.
	All bool `json:"all,omitempty"`
	// How often it is looked what has changed; all is read in the place of every tenth look. Default: 30s.
	Interval caddy.Duration `json:"interval,omitempty"`
	// The file; an absolute path, or "off". Default: one in Caddy's data directory, named after the API, the account and the
	// part.
	Snapshot string `json:"snapshot,omitempty"`
}

const (
	defaultInterval  = 30 * time.Second
	shortestInterval = 5 * time.Second
	longestInterval  = time.Hour
	snapshotOff      = "off"
)

func (h *Handler) unmarshalSite(d *caddyfile.Dispenser) error {
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf("option site has %d values; write: site { ... }", len(args))
	}
	s := new(Site)
	h.Site = s
	return block(d, "site", func(option string) error {
		switch option {
		case "conductor_group":
			return one(d, &s.ConductorGroup, "<name>")
		case "shard":
			return one(d, &s.Shard, "<name>")
		case "all":
			return onOff(d, &s.All)
		case "interval":
			return duration(d, &s.Interval)
		case "snapshot":
			return one(d, &s.Snapshot, "<file>|off")
		}
		return d.Errf("unknown option %q of site; it takes conductor_group, shard, all, interval and snapshot", option)
	})
}

// sitePart is Site with placeholders filled in, defaults set and every value checked.
type sitePart struct {
	scope    ironic.Scope
	interval time.Duration
	file     string // empty: none
	identity string
}

// resolveSite comes after resolveIronic.
func (h *Handler) resolveSite(c *config) error {
	if h.Site == nil {
		return nil
	}
	s := sitePart{interval: time.Duration(h.Site.Interval)}
	var errs [3]error
	s.scope.ConductorGroup, errs[0] = fill("site conductor_group", h.Site.ConductorGroup)
	s.scope.Shard, errs[1] = fill("site shard", h.Site.Shard)
	s.file, errs[2] = fill("site snapshot", h.Site.Snapshot)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	parts := 0
	for _, given := range []bool{s.scope.ConductorGroup != "", s.scope.Shard != "", h.Site.All} {
		if given {
			parts++
		}
	}
	if s.interval == 0 {
		s.interval = defaultInterval
	}
	switch {
	case parts != 1:
		return fmt.Errorf("%s: option site has %d of conductor_group, shard and all; give one of them", directive, parts)
	case s.interval < shortestInterval || s.interval > longestInterval:
		return optionError("site interval", s.interval.String(), errors.New("is not from 5s to 1h"), "give a duration such as 30s")
	case s.file != "" && s.file != snapshotOff && !filepath.IsAbs(s.file):
		return optionError("site snapshot", h.Site.Snapshot, errors.New("is not an absolute path"), "give one such as /var/lib/caddy/site.json, or: off")
	}
	key, _ := siteKey(c)
	sum := sha256.Sum256([]byte(key + "\x00" + s.scope.String()))
	s.identity = hex.EncodeToString(sum[:8])
	switch s.file {
	case "":
		s.file = filepath.Join(caddy.AppDataDir(), directive, "inventory-"+s.identity+".json")
	case snapshotOff:
		s.file = ""
	default:
		s.file = filepath.Clean(s.file)
	}
	c.site = &s
	return nil
}

// checkSite refuses a handler that wants the snapshot of another site of its configuration.
func (h *Handler) checkSite(others []*Handler) error {
	if h.roster == nil || h.roster.file == "" {
		return nil
	}
	for _, other := range others {
		if other.roster != nil && other.roster != h.roster && other.roster.file == h.roster.file {
			return optionError("site snapshot", h.Site.Snapshot, errors.New("is that of another site, too"), "give each a file of its own")
		}
	}
	return nil
}

// askIronic asks Ironic for a node, for a client: alone, or with others of the site at once.
func (h *Handler) askIronic(ctx context.Context, key, mac, uuid, client string) (*ipxe.Node, error) {
	if h.roster == nil {
		return h.askAlone(ctx, key, client, h.byAddressOrUUID(mac, uuid))
	}
	if err := h.site.gate.down(); err != nil {
		return nil, err // a reading would find out no more, and be waited for
	}
	switch node, answered, err := h.roster.Confirm(ctx, mac, uuid); {
	case errors.Is(err, inventory.ErrBusy):
		return nil, lookup.ErrSlow // who comes back in a moment finds what the reading found
	case answered:
		return node, err
	}
	if h.roster.Knows(mac, uuid) {
		client = "" // it costs a client nothing to ask for what is known
	}
	asked, began := time.Now(), h.site.nodes.Epoch()
	node, err := h.askAlone(ctx, key, client, h.byAddressOrUUID(mac, uuid))
	switch {
	case err == nil:
		h.roster.Learn(mac, node, asked, began)
	case errors.Is(err, ironic.ErrNoNode):
		h.roster.LearnGone(mac, uuid, asked)
	}
	return node, err
}

// byAddressOrUUID asks for a node by one of them.
func (h *Handler) byAddressOrUUID(mac, uuid string) func(context.Context) (*ipxe.Node, error) {
	return func(ctx context.Context) (*ipxe.Node, error) {
		if mac != "" {
			return h.client.NodeByMAC(ctx, mac)
		}
		return h.client.NodeByUUID(ctx, uuid)
	}
}

// askAlone asks Ironic for one node, within what the client may cause and the gate lets through.
func (h *Handler) askAlone(ctx context.Context, key, client string, find func(context.Context) (*ipxe.Node, error)) (node *ipxe.Node, err error) {
	if client != "" && !h.site.rates.admit(client, cmp.Or(h.ClientRate, defaultClientRate)) {
		return nil, errClientRate
	}
	err = h.site.gate.ask(ctx, key, func(ctx context.Context) (err error) {
		node, err = find(ctx)
		return err
	})
	return node, err
}

// siteNodes returns the nodes that images are prefetched for: those of the site, or all. Their inventory is waited for a
// while.
func (h *Handler) siteNodes(ctx context.Context) ([]*ipxe.Node, error) {
	var nodes []*ipxe.Node
	if h.roster == nil {
		return h.listNodes(ctx)
	}
	timer := time.NewTimer(prefetchRetry)
	defer timer.Stop()
	select {
	case <-h.roster.Told():
	case <-timer.C:
		return nil, errors.New("the site's nodes have not been read yet")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, n := range h.roster.Nodes() {
		if n.Facts != nil {
			nodes = append(nodes, n.Facts)
		}
	}
	return nodes, nil
}

// inventories returns what is known of the nodes of each site that the running configuration has.
func (s *site) inventories() []*inventory.Inventory {
	var all []*inventory.Inventory
	for _, r := range s.allRosters() {
		all = append(all, r.Inventory)
	}
	return all
}

// refreshNode has Ironic asked for a node of the site soon.
func (s *site) refreshNode(uuid string) {
	for _, inv := range s.inventories() {
		inv.Refresh(strings.ToLower(uuid))
	}
}

// forgetNode makes stale what is known of a node, here and after a restart.
func (s *site) forgetNode(uuid string) {
	uuid = strings.ToLower(uuid)
	s.nodes.Forget(uuid)
	for _, inv := range s.inventories() {
		inv.Closed(uuid)
	}
}

// forgetAddress makes stale what is known of the node that has an address.
func (s *site) forgetAddress(mac ipxe.MAC) {
	s.nodes.ForgetKey(macKey(mac))
	for _, inv := range s.inventories() {
		if uuid := inv.Owner(string(mac)); uuid != "" {
			s.forgetNode(uuid)
		}
	}
}

func (s *site) allRosters() []*roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rosters)
}
