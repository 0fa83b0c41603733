// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// Scope is a part of an Ironic's nodes. The zero Scope is all that our identity may see.
type Scope struct {
	ConductorGroup string // physical location
	Shard          string // consumer of the API
}

// pageSize is how many nodes are asked for at once; Ironic gives no more than its [api]max_limit, 1000 by default.
const pageSize = 500

// Nodes returns the nodes of a scope, without their ports and volumes, page by page. A node that cannot be used comes as its
// UUID alone with an error, after which the others follow; an error without a node is of a page, and ends the sequence.
// Errors are as those of NodeByUUID.
func (c *Client) Nodes(ctx context.Context, scope Scope) iter.Seq2[*ipxe.Node, error] {
	return func(yield func(*ipxe.Node, error) bool) {
		const op = "list the nodes"
		// The link to the next page keeps no filters (ironic/api/controllers/v1/collection.py: get_next), so it is made here.
		query := url.Values{"fields": {nodeFields}, "limit": {strconv.Itoa(pageSize)}}
		if scope.ConductorGroup != "" {
			query.Set("conductor_group", scope.ConductorGroup)
		}
		if scope.Shard != "" {
			query.Set("shard", scope.Shard)
		}
		for {
			body, err := c.get(ctx, op, "nodes?"+query.Encode())
			if err != nil {
				yield(nil, err)
				return
			}
			page := answer{op: op}
			nodes := page.list(body, "nodes")
			if page.err != nil {
				yield(nil, page.err)
				return
			}
			last := ""
			for _, o := range nodes {
				one := answer{op: op}
				last = strings.ToLower(one.uuid(o, "uuid"))
				if one.err != nil { // the next page begins after it
					yield(nil, one.err)
					return
				}
				n, err := one.node(o, last)
				if err != nil {
					n = &ipxe.Node{UUID: last}
				}
				if !yield(n, err) {
					return
				}
			}
			if len(nodes) == 0 || query.Get("marker") == last {
				return
			}
			if next, err := parseObject(body); err != nil || next.absent("next") {
				return
			}
			query.Set("marker", last)
		}
	}
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
