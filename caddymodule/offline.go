// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/command"
	"github.com/ironic-edge/ironic-edge/caddymodule/inventory"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// offline answers what the commands nodes and explain ask, without a running edge. It starts nothing.
func offline(ctx context.Context, from command.Offline, path string, query url.Values) (any, error) {
	h, config, err := configured(from, query.Get("edge"))
	if err != nil {
		return nil, err
	}
	if from.Snapshot == "" {
		node, err := nodeOf(ctx, config, query.Get("node"))
		if err != nil {
			return nil, faultOf(err)
		}
		return h.explanation(node, query.Get("state"))
	}
	nodes, _, err := inventory.ReadFile(from.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("option snapshot: %w", err)
	}
	if path == "nodes" {
		listed := make([]api.Node, 0, len(nodes))
		for _, n := range nodes {
			listed = append(listed, listedNode(h.publicURL, n))
		}
		return listed, nil
	}
	node, err := snapshotNode(nodes, query.Get("node"))
	if err != nil {
		return nil, err
	}
	return h.explanation(node, query.Get("state"))
}

// snapshotNode returns the facts of a node by its UUID, name or MAC address.
func snapshotNode(nodes []inventory.Node, name string) (*ipxe.Node, error) {
	mac, _ := ipxe.ParseMAC(name)
	for _, n := range nodes {
		i := slices.IndexFunc(n.Ports, func(p ipxe.Port) bool { return p.Address == string(mac) })
		if i < 0 && !strings.EqualFold(n.UUID, name) && !strings.EqualFold(n.Name, name) {
			continue
		}
		if n.Facts == nil {
			return nil, &fault{http.StatusNotFound, reasonUnavailable, "the snapshot has no facts of the node, since a secret may be among them, or its agent has reported since; ask Ironic (--live)"}
		}
		node := *n.Facts
		if i >= 0 {
			node.Port = n.Ports[i]
		}
		return &node, nil
	}
	return nil, &fault{http.StatusNotFound, reasonNoNode, "no node of the snapshot is called that; give a UUID, a MAC address, or a name that ironic-edge nodes --snapshot lists"}
}

// nodeOf asks Ironic for a node by its UUID, MAC address or name.
func nodeOf(ctx context.Context, config *config, name string) (*ipxe.Node, error) {
	config.ironic.Release = version()
	client, err := ironic.New(ctx, config.ironic)
	if err != nil {
		return nil, explainIronic(err)
	}
	defer client.Close()
	if mac, err := ipxe.ParseMAC(name); err == nil {
		return client.NodeByMAC(ctx, string(mac))
	}
	if isUUID(name) {
		return client.NodeByUUID(ctx, name)
	}
	for n, err := range client.Nodes(ctx, ironic.Scope{}) {
		switch {
		case n.Node != nil && strings.EqualFold(n.Name, name):
			return client.NodeByUUID(ctx, n.UUID) // with its volumes
		case err != nil && n.Node == nil:
			return nil, err
		}
	}
	return nil, ironic.ErrNoNode
}

// configured returns a handler with what scripts are made of, as a configuration says. How to reach Ironic is of no interest
// where a snapshot tells of the nodes, and need not be complete there.
func configured(from command.Offline, edge string) (*Handler, *config, error) {
	handlers := []*Handler{new(Handler)}
	if from.Config != "" {
		var err error
		if handlers, err = handlersOf(from.Config); err != nil {
			return nil, nil, fmt.Errorf("option config: %s: %w", from.Config, err)
		}
	}
	var names []string
	for _, h := range handlers {
		c := &config{}
		err := errors.Join(h.resolveURLs(c), h.resolveScripts(c), h.resolveImages(c))
		if from.Snapshot == "" {
			c, err = h.resolve()
		}
		if err != nil {
			return nil, nil, err
		}
		if edge == h.publicURL || edge == "" && len(handlers) == 1 {
			h.options = c.options
			return h, c, nil
		}
		names = append(names, h.publicURL)
	}
	return nil, nil, fmt.Errorf("option edge: %q is not one edge of %s; give the public_url of one: %s", edge, from.Config, strings.Join(names, ", "))
}

// handlersOf reads the ironic_edge blocks of a configuration: a Caddyfile, or JSON in a file that is called so.
func handlersOf(name string) ([]*Handler, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".json") {
		if text, _, err = caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": name}); err != nil {
			return nil, err
		}
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	var handlers []*Handler
	if err := eachHandler(tree, func(fields map[string]any) error {
		delete(fields, "handler")
		text, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		h := new(Handler)
		handlers = append(handlers, h)
		return caddy.StrictUnmarshalJSON(text, h)
	}); err != nil {
		return nil, err
	}
	if len(handlers) == 0 {
		return nil, errors.New("has no " + directive)
	}
	return handlers, nil
}

// eachHandler calls do with the JSON of each handler of ours.
func eachHandler(tree any, do func(map[string]any) error) error {
	switch tree := tree.(type) {
	case map[string]any:
		if tree["handler"] == directive {
			return do(tree)
		}
		for _, key := range slices.Sorted(maps.Keys(tree)) {
			if err := eachHandler(tree[key], do); err != nil {
				return err
			}
		}
	case []any:
		for _, v := range tree {
			if err := eachHandler(v, do); err != nil {
				return err
			}
		}
	}
	return nil
}
