// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"iter"
	"net/url"
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
	// StateUpdated is when its provision state changed last, or its agent reported in some states; zero when neither has been.
	// Some databases keep seconds only.
	StateUpdated time.Time
	// Asset is what its owner calls the machine: asset_tag or serial_number of the node's properties, where operators put them.
	Asset string
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

	listFields = nodeFields + ",provision_updated_at"
)

// Nodes returns the nodes of a scope, without their ports and volumes, page by page. A node that cannot be used comes as its
// UUID alone with an error, after which the others follow; an error without a node is of a page, and ends the sequence.
// Errors are as those of NodeByUUID.
func (c *Client) Nodes(ctx context.Context, scope Scope) iter.Seq2[Listed, error] {
	const op = "list the nodes"
	return func(yield func(Listed, error) bool) {
		if err := c.lists(ctx, op, scope); err != nil {
			yield(Listed{}, err)
			return
		}
		query := scope.nodes()
		query.Set("fields", listFields)
		for o, err := range c.pages(ctx, op, "nodes", "nodes", query, nodesPage) {
			if err != nil {
				yield(Listed{}, err)
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

// tail is how many nodes that have not changed in a row end the search for those that have. One would do if all
// conductors had one clock, and databases kept more than seconds.
const tail = 10

// Changed returns the nodes of a scope whose provision state changed last, the last one first, down to those that are known:
// where the function reports that the node and its StateUpdated are. It says whether all that changed are among
// them: there may be too many, or a database that puts those that never changed before all others. A node whose facts changed
// without its state, or that was enrolled and nothing else, is found by Nodes only. Nodes and errors are as those of Nodes.
func (c *Client) Changed(ctx context.Context, scope Scope, known func(Listed) bool) (nodes []Listed, all bool, err error) {
	const op = "list the nodes that changed"
	if err := c.lists(ctx, op, scope); err != nil {
		return nil, false, err
	}
	query := scope.nodes()
	query.Set("fields", listFields)
	query.Set("sort_key", "provision_updated_at")
	query.Set("sort_dir", "desc")
	for _, limit := range changedPages {
		// The same page is asked for again, larger: a marker would have moved if its node changed in between.
		query.Set("limit", strconv.Itoa(limit))
		body, err := c.get(ctx, op, "nodes?"+query.Encode())
		if err != nil {
			return nil, false, err
		}
		page := answer{op: op}
		elements := page.list(body, "nodes")
		if page.err != nil {
			return nil, false, page.err
		}
		nodes = nodes[:0]
		unchanged := 0
		for _, o := range elements {
			n, err := listedNode(op, o)
			switch {
			case n.Node == nil:
				return nil, false, err
			case n.StateUpdated.IsZero():
				all = len(nodes) > 0 // they come after all others, if they do not come before
				continue
			case known(n):
				unchanged++
			default:
				unchanged = 0
			}
			nodes = append(nodes, n)
		}
		if all = all || unchanged >= tail || len(elements) < limit; all {
			break
		}
	}
	return nodes, all, nil
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
					yield(NodePort{}, err)
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
	n := Listed{StateUpdated: timeIn(o, "provision_updated_at"), Asset: assetIn(a.object(o, "properties"))}
	n.Node, a.err = a.node(o, uuid)
	if a.err != nil {
		n.Node = &ipxe.Node{UUID: uuid}
	}
	return n, a.err
}

// assetIn finds what the machine is called. Ironic has no name for that property.
func assetIn(properties object) string {
	for _, name := range []string{"asset_tag", "serial_number"} {
		if s, err := properties.text(name); err == nil && s != "" {
			return s
		}
	}
	return ""
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

// lists refuses a scope that an old Ironic cannot list.
func (c *Client) lists(ctx context.Context, op string, scope Scope) error {
	if scope.Shard == "" {
		return nil
	}
	minor, err := c.minor(ctx)
	if err != nil {
		return ended(ctx, op, err)
	}
	if minor < shardMinor {
		return badAnswer(op, "too_old", "this Ironic cannot list the nodes of a shard, which takes API version 1.82, that of Ironic 21.4")
	}
	return nil
}

// minor is the microversion that calls are made in: that of the first URL that can be asked.
func (c *Client) minor(ctx context.Context) (int, error) {
	var last error
	for _, e := range c.endpoints {
		s, err := e.session.get(ctx, time.Now())
		if err == nil {
			return parseMinor(s.service.Microversion)
		}
		last = err
	}
	return 0, last
}

// Check returns nil if Ironic answers a question about its nodes. It asks for none in particular.
func (c *Client) Check(ctx context.Context) error {
	const op = "look whether Ironic answers"
	body, err := c.get(ctx, op, "nodes?limit=1&fields=uuid")
	if err != nil {
		return err
	}
	page := answer{op: op}
	page.list(body, "nodes")
	return page.err
}
