// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// Scope is a part of an Ironic's nodes. The zero Scope is all that our identity may see.
type Scope struct {
	ConductorGroup string // physical location
	Shard          string // consumer of the API; takes Ironic 21.4
}

// String names the scope as the Caddyfile does.
func (s Scope) String() string {
	switch {
	case s.ConductorGroup != "":
		return "conductor_group " + s.ConductorGroup
	case s.Shard != "":
		return "shard " + s.Shard
	}
	return "all"
}

// Listed is a node of a list.
type Listed struct {
	*ipxe.Node
	// Updated is when anything of the node changed last, its lock and the agent's heartbeats included; zero when nothing has
	// since it was enrolled. Some databases keep seconds only.
	Updated time.Time
	// StateUpdated is when its provision state changed last; zero when it has not yet.
	StateUpdated time.Time
}

// NodePort is an address of a node: that of a port or a portgroup.
type NodePort struct {
	Node string // UUID
	ipxe.Port
}

const (
	// nodesPage and portsPage are how many nodes and ports are asked for at once; Ironic gives no more than its
	// [api]max_limit, 1000 by default.
	nodesPage = 500
	portsPage = 1000
	// smallestPage is where making pages smaller ends. A line that carries no such page in the time for a call carries nothing.
	smallestPage = 20

	listFields = nodeFields + ",updated_at,provision_updated_at"
)

// Nodes returns the nodes of a scope, without their ports and volumes, page by page. A node that cannot be used comes as its
// UUID alone with an error, after which the others follow; an error without a node is of a page, and ends the sequence.
// Errors are as those of NodeByUUID.
func (c *Client) Nodes(ctx context.Context, scope Scope) iter.Seq2[Listed, error] {
	const op = "list the nodes"
	return func(yield func(Listed, error) bool) {
		query := scope.nodes()
		query.Set("fields", listFields)
		for o, err := range c.pages(ctx, op, "nodes", "nodes", query, nodesPage) {
			if err != nil {
				yield(Listed{}, scope.explain(op, err))
				return
			}
			if !yield(listedNode(op, o)) {
				return
			}
		}
	}
}

// changedPages are how many nodes Changed asks for, until all that changed are among them. Most of the time nothing did.
var changedPages = []int{20, 100, nodesPage}

// Changed returns the nodes of a scope that changed at a time or later, as Ironic's clock has it, the last one first, and whether these
// are all: there may be too many, or a database that puts those that never changed before all others. Nodes that were
// enrolled and not changed since are never among them, nor does a change of ports or volumes make one. Nodes and errors are
// as those of Nodes.
func (c *Client) Changed(ctx context.Context, scope Scope, since time.Time) (changed []Listed, all bool, err error) {
	const op = "list the nodes that changed"
	query := scope.nodes()
	query.Set("fields", listFields)
	query.Set("sort_key", "updated_at")
	query.Set("sort_dir", "desc")
	for _, limit := range changedPages {
		// The same page is asked for again, larger: a marker would have moved if its node changed in between.
		query.Set("limit", strconv.Itoa(limit))
		body, err := c.get(ctx, op, "nodes?"+query.Encode())
		if err != nil {
			return nil, false, scope.explain(op, err)
		}
		page := answer{op: op}
		nodes := page.list(body, "nodes")
		if page.err != nil {
			return nil, false, page.err
		}
		changed, all = changed[:0], len(nodes) < limit
		for _, o := range nodes {
			n, err := listedNode(op, o)
			switch {
			case n.Node == nil:
				return nil, false, err
			case n.Updated.IsZero():
			case n.Updated.Before(since):
				all = true
			case err == nil:
				changed = append(changed, n)
			}
		}
		if all {
			break
		}
	}
	return changed, all, nil
}

// Ports returns the addresses of a scope's nodes: those of ports, then those of portgroups. Releases before Ironic 30 cannot
// tell a conductor group's, and those before 34 not a shard's portgroups: then those of other nodes are among them. What cannot be
// used comes as an error with its node, if that is known; an error alone is of a page, and ends the sequence.
func (c *Client) Ports(ctx context.Context, scope Scope) iter.Seq2[NodePort, error] {
	const op = "list the ports"
	return func(yield func(NodePort, error) bool) {
		minor, err := c.minor(ctx)
		if err != nil {
			yield(NodePort{}, ended(ctx, op, err))
			return
		}
		for _, list := range []struct{ collection, fields string }{{"ports", portFields}, {"portgroups", portgroupFields}} {
			query := scope.ports(list.collection, minor)
			query.Set("fields", list.fields+",uuid")
			for o, err := range c.pages(ctx, op, list.collection, list.collection, query, portsPage) {
				if err != nil {
					yield(NodePort{}, scope.explain(op, err))
					return
				}
				if o.absent("address") { // a portgroup need not have one
					continue
				}
				if !yield(listedPort(op, list.collection, o)) {
					return
				}
			}
		}
	}
}

// AddVolumes gives those of the nodes that boot from a volume what NodeByUUID would: the targets and the connectors of all
// nodes are listed for that, if there is such a node. It returns why a node cannot be used, by UUID.
func (c *Client) AddVolumes(ctx context.Context, nodes []*ipxe.Node) (bad map[string]error, err error) {
	wanted := make(map[string]*ipxe.Node)
	for _, n := range nodes {
		if n.BootVolume != "" {
			wanted[n.UUID] = n
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	bad = make(map[string]error)
	for _, list := range []struct {
		op, path, key, fields string
		add                   func(*answer, *ipxe.Node, object)
	}{
		{"list the volume targets", "volume/targets", "targets", targetFields,
			func(a *answer, n *ipxe.Node, o object) { n.Volumes = append(n.Volumes, a.target(o)) }},
		{"list the volume connectors", "volume/connectors", "connectors", connectorFields,
			func(a *answer, n *ipxe.Node, o object) { a.connector(&n.Initiator, o) }},
	} {
		query := url.Values{"fields": {list.fields + ",node_uuid"}}
		for o, err := range c.pages(ctx, list.op, list.path, list.key, query, portsPage) {
			if err != nil {
				return nil, err
			}
			a := answer{op: list.op}
			n := wanted[strings.ToLower(a.uuid(o, "node_uuid"))]
			if n == nil {
				continue // another site's
			}
			if list.add(&a, n, o); a.err != nil {
				bad[n.UUID] = a.err
			}
		}
	}
	return bad, nil
}

// pages returns the elements of a collection. A page that takes too long, or is too large, is asked for again as a smaller
// one, down to the smallest.
func (c *Client) pages(ctx context.Context, op, path, key string, query url.Values, limit int) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		limit := limit
		for {
			// The link to the next page keeps no filters (ironic/api/controllers/v1/collection.py: get_next), so it is made here.
			query.Set("limit", strconv.Itoa(limit))
			body, err := c.get(ctx, op, path+"?"+query.Encode())
			var e *Error
			if ctx.Err() == nil && limit > smallestPage && errors.As(err, &e) && (e.Reason == "timeout" || e.Reason == "too_large") {
				limit = max(limit/5, smallestPage)
				continue
			}
			page := answer{op: op, err: err}
			var elements []object
			if err == nil {
				elements = page.list(body, key)
			}
			last := ""
			for _, o := range elements {
				// The next page begins after it, so an element without one is the end.
				if last = page.uuid(o, "uuid"); page.err != nil {
					break
				}
				if !yield(o, nil) {
					return
				}
			}
			if page.err != nil {
				yield(nil, page.err)
				return
			}
			if len(elements) == 0 || query.Get("marker") == last {
				return
			}
			if whole, err := parseObject(body); err != nil || whole.absent("next") {
				return
			}
			query.Set("marker", last)
		}
	}
}

// listedNode translates a node of a list. One without a UUID is none.
func listedNode(op string, o object) (Listed, error) {
	a := answer{op: op}
	uuid := strings.ToLower(a.uuid(o, "uuid"))
	if a.err != nil {
		return Listed{}, a.err
	}
	n := Listed{Updated: timeIn(o, "updated_at"), StateUpdated: timeIn(o, "provision_updated_at")}
	n.Node, a.err = a.node(o, uuid)
	if a.err != nil {
		n.Node = &ipxe.Node{UUID: uuid}
	}
	return n, a.err
}

func listedPort(op, collection string, o object) (NodePort, error) {
	a := answer{op: op}
	p := NodePort{Node: strings.ToLower(a.uuid(o, "node_uuid"))}
	mac, err := ipxe.ParseMAC(a.text(o, "address"))
	if err != nil {
		a.fail(wrongType("address", "a MAC address"))
	}
	p.Port = a.port(collection, string(mac), o)
	return p, a.err
}

// nodes is the filter of nodes.
func (s Scope) nodes() url.Values {
	query := url.Values{}
	if s.ConductorGroup != "" {
		query.Set("conductor_group", s.ConductorGroup)
	}
	if s.Shard != "" {
		query.Set("shard", s.Shard)
	}
	return query
}

// ports is the filter of ports or portgroups, as far as a version has it.
func (s Scope) ports(collection string, minor int) url.Values {
	query := url.Values{}
	shards := map[string]int{"ports": shardMinor, "portgroups": portgroupShardMinor}
	switch {
	case s.Shard != "" && minor >= shards[collection]:
		query.Set("shard", s.Shard)
	case s.ConductorGroup != "" && minor >= portGroupMinor:
		query.Set("conductor_groups", s.ConductorGroup)
	}
	return query
}

// The microversions that brought filters (ironic/api/controllers/v1/versions.py).
const (
	shardMinor          = 82
	portGroupMinor      = 99
	portgroupShardMinor = 106
)

// explain says what an old Ironic lacks.
func (s Scope) explain(op string, err error) error {
	var e *Error
	if s.Shard != "" && errors.As(err, &e) && slices.Contains([]int{400, 406}, e.Status) {
		return badAnswer(op, "too_old", "this Ironic cannot list the nodes of a shard, which takes API version 1.82, that of Ironic 21.4")
	}
	return err
}

// minor is the microversion that calls are made in.
func (c *Client) minor(ctx context.Context) (int, error) {
	s, err := c.connected(ctx, time.Now())
	if err != nil {
		return 0, err
	}
	return parseMinor(s.service.Microversion)
}
