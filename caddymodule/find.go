// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// find returns a node by its UUID, its name or the MAC of one of its ports, and the edge that knows it. A name that neither an
// inventory nor a boot has is asked for in Ironic, as UUIDs and MACs are: by one call however many ask, for no longer than
// answer_deadline, and not again for as long as the answer is good. Who asks by way of the status page, which may be
// anybody, is bounded by client_rate, as a machine is.
func (o *overview) find(ctx context.Context, name string) (*Handler, *knownNode, error) {
	if name == "" {
		return nil, nil, &fault{http.StatusBadRequest, reasonQuery, "name a node: its UUID, its name or a MAC address"}
	}
	key := o.nodeKey(name)
	var failed error
	for _, h := range o.handlers {
		entry, err := h.node(ctx, key, &h.terms)
		if err == nil || entry.Usable && outage(err) {
			return h, entry.Value, nil
		}
		if failed == nil || !errors.Is(err, ironic.ErrNoNode) { // where one cannot be asked, it may be there
			failed = err
		}
	}
	if strings.HasPrefix(key, nameKey("")) && outage(failed) {
		f := faultOf(failed)
		return nil, nil, &fault{f.status, f.reason, f.text + "; until it answers, only names that ironic-edge nodes lists are known"}
	}
	return nil, nil, failed
}

// nodeKey is what is looked up for a node's UUID, name or MAC address.
func (o *overview) nodeKey(name string) string {
	if mac, err := ipxe.ParseMAC(name); err == nil {
		return macKey(mac)
	}
	if isUUID(name) {
		return uuidKey(name)
	}
	nodes := o.Nodes()
	if i := slices.IndexFunc(nodes, func(n api.Node) bool { return strings.EqualFold(n.Name, name) }); i >= 0 {
		return uuidKey(nodes[i].UUID)
	}
	return nameKey(name)
}

func nameKey(name string) string { return "name " + name }

// askByKey asks Ironic for what a key names, for a client.
func (h *Handler) askByKey(ctx context.Context, key, client string) (*ipxe.Node, error) {
	switch kind, name, _ := strings.Cut(key, " "); kind {
	case "mac":
		return h.askIronic(ctx, key, name, "", client)
	case "name": // which a site's reading does not tell of any sooner
		return h.askAlone(ctx, key, client, func(ctx context.Context) (*ipxe.Node, error) { return h.client.NodeByName(ctx, name) })
	default:
		return h.askIronic(ctx, key, "", name, client)
	}
}

// bootsOf returns the boots of a node, or all.
func (o *overview) bootsOf(ctx context.Context, node string) ([]boots.Boot, error) {
	all := o.Boots()
	if node == "" {
		return all, nil
	}
	mac, err := ipxe.ParseMAC(node)
	if err != nil {
		mac = ""
	}
	of := slices.DeleteFunc(slices.Clone(all), func(b boots.Boot) bool {
		return b.ID != node && !strings.EqualFold(b.Node, node) && !strings.EqualFold(b.Name, node) &&
			(mac == "" || !slices.Contains(b.MACs, string(mac))) && !slices.Contains(b.RequestIDs, node)
	})
	if len(of) > 0 {
		return of, nil
	}
	h, known, err := o.find(ctx, node)
	if err != nil {
		f := faultOf(err)
		if f.reason == reasonNoNode {
			return nil, &fault{http.StatusNotFound, reasonNoNode, "no boot of it was seen, and Ironic knows no such node; ironic-edge boots lists those that were, ironic-edge unknown machines without a node"}
		}
		return nil, &fault{f.status, f.reason, "no boot of it was seen, and it cannot be told which node it is: " + f.text}
	}
	uuid := known.node.UUID
	of = slices.DeleteFunc(all, func(b boots.Boot) bool { return b.Node != uuid })
	switch asked := h.site.boots.Asked(uuid); {
	case len(of) > 0:
		return of, nil
	case !asked.IsZero():
		return nil, &fault{http.StatusNotFound, reasonNoBoot, "its boots are not kept any more; node " + uuid + " was last seen " + api.Ago(time.Since(asked)) +
			" ago. Raise the number in the option boots to keep more"}
	}
	return nil, &fault{http.StatusNotFound, reasonNoBoot, "node " + uuid + " has not asked this edge for its boot; ironic-edge explain says what it would get"}
}

// reasonNoBoot is the code of a node without a boot that is kept.
const reasonNoBoot = "no_boot"
