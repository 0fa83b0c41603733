// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/cache/shared"
	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// find returns a node by its UUID, its name or the MAC of one of its ports, and the edge that knows it. Names are those of
// an inventory or of a boot; the others are asked for in Ironic.
func (o *overview) find(ctx context.Context, name string) (*Handler, *knownNode, error) {
	if name == "" {
		return nil, nil, &fault{http.StatusBadRequest, reasonQuery, "name a node: its UUID, its name or a MAC address"}
	}
	key := ""
	if mac, err := ipxe.ParseMAC(name); err == nil {
		key = macKey(mac)
	} else if isUUID(name) {
		key = uuidKey(name)
	} else {
		nodes := o.Nodes()
		i := slices.IndexFunc(nodes, func(n api.Node) bool { return strings.EqualFold(n.Name, name) })
		if i < 0 {
			return nil, nil, &fault{http.StatusNotFound, reasonNoNode, "no node is called that; give a UUID, a MAC address, or a name that ironic-edge nodes lists"}
		}
		key = uuidKey(nodes[i].UUID)
	}
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
	return nil, nil, failed
}

// bootsOf returns the boots of a node, or all.
func (o *overview) bootsOf(ctx context.Context, node string) ([]boots.Boot, error) {
	all := o.Boots()
	if node == "" {
		return all, nil
	}
	of := slices.DeleteFunc(slices.Clone(all), func(b boots.Boot) bool {
		mac, err := ipxe.ParseMAC(node)
		return b.ID != node && !strings.EqualFold(b.Node, node) && !strings.EqualFold(b.Name, node) &&
			(err != nil || !slices.Contains(b.MACs, string(mac))) && !slices.Contains(b.RequestIDs, node)
	})
	if len(of) == 0 {
		return nil, &fault{http.StatusNotFound, reasonNoNode, "no boot of it was seen; ironic-edge boots lists those that were, ironic-edge unknown machines without a node"}
	}
	return of, nil
}

// Explain says which script a node gets.
func (o *overview) Explain(ctx context.Context, node string) (*api.Explanation, error) {
	return o.explain(ctx, node, "")
}

// explain says which script a node gets, or would get in another state.
func (o *overview) explain(ctx context.Context, name, state string) (*api.Explanation, error) {
	h, known, err := o.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return h.explanation(known.node, state)
}

// explanation is explain for a node whose facts are known.
func (h *Handler) explanation(known *ipxe.Node, state string) (*api.Explanation, error) {
	node := *known
	if state != "" {
		node.ProvisionState = ipxe.State(state)
	}
	base := h.publicURL
	if base == "" {
		base = "http://" + exampleHost
	}
	boot := ipxe.Boot{BaseURL: base, RequestID: newRequestID()}
	e := &api.Explanation{Edge: base, Node: nodeView(&node), Why: ipxe.Why(&node, boot, &h.options)}
	script, err := ipxe.Select(&node, boot, &h.options)
	var nothing *ipxe.NotBootable
	var refused *ipxe.Refused
	switch {
	case errors.As(err, &nothing):
		e.Reason = string(nothing.Reason)
	case errors.As(err, &refused):
		e.Reason, e.Withheld = string(refused.Reason), refused.Reason == ipxe.ReasonSecret
	case err != nil:
		return nil, err
	default:
		text, err := script.AppendText(nil)
		if err != nil {
			return nil, err
		}
		e.Kind, e.Reason, e.Script = string(script.Kind), string(script.Reason), string(text)
	}
	return e, nil
}

// exampleHost stands in an explained script where the address that the client connects to will stand.
const exampleHost = "edge.example"

// diff compares a node's script with the conductor's.
func (o *overview) diff(ctx context.Context, name string) (*api.Diff, error) {
	h, known, err := o.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if h.conductor == "" {
		return nil, &fault{http.StatusUnprocessableEntity, "no_conductor", "the edge does not know the conductor's web server; give it conductor_http"}
	}
	return h.compare(ctx, known.node)
}

// Act does one of the actions purge, prefetch and refresh.
func (o *overview) Act(ctx context.Context, do, name string) error {
	switch do {
	case "refresh":
		return o.refresh(ctx, name)
	case "purge":
		return o.purge(name)
	case "prefetch":
		h, store, target, err := o.target(name)
		if err != nil {
			return err
		}
		h.requests.Add(1)
		go func() { // ends with the configuration, or the store; what has begun to come comes, and the store knows how far it is
			defer h.requestEnds()
			_ = h.prefetchOne(o.running, store, target, false) // which tells the log
		}()
		return nil
	}
	return &fault{http.StatusBadRequest, reasonQuery, "there is no such action"}
}

// refresh makes stale what is known of a node.
func (o *overview) refresh(ctx context.Context, name string) error {
	h, known, err := o.find(ctx, name)
	if err != nil {
		return err
	}
	h.site.forgetNode(known.node.UUID)
	h.site.refreshNode(known.node.UUID)
	return nil
}

// purge takes an object out of the stores, by its id or one of its keys.
func (o *overview) purge(name string) error {
	found := false
	for _, h := range o.handlers {
		store := h.storage.opened()
		if store == nil {
			continue
		}
		for _, info := range store.Infos() {
			if info.ID == name || slices.ContainsFunc(info.Keys, func(key string) bool { return isKey(key, name) }) {
				found = true
				for _, key := range info.Keys {
					store.RemoveKey(key)
				}
			}
		}
	}
	if !found {
		return &fault{http.StatusNotFound, "no_object", "no object of the store is called that; ironic-edge images lists them"}
	}
	return nil
}

// isKey reports whether a name is an object's key in the store, or the part of it that is a reference or URL.
func isKey(key, name string) bool {
	key, _, _ = strings.Cut(key, "\x00") // what follows tells variants apart
	_, reference, _ := strings.Cut(key, " ")
	return name != "" && (key == name || reference == name || reference == origin.Key(name))
}

// target is what an image reference or a path below a mirror leads to, and the edge and the store that it is for.
func (o *overview) target(ref string) (*Handler, *shared.Cache, *shared.Target, error) {
	err := error(&fault{http.StatusUnprocessableEntity, "no_store", "no edge has a store; give it one"})
	for _, h := range o.handlers {
		store := h.storage.shared()
		if store == nil {
			continue
		}
		var target *shared.Target
		if m := h.mirrorOf(ref); m != nil {
			target, err = m.prefetchTarget(ref)
		} else {
			var location string
			if location, err = h.follow(ref); err == nil {
				target, err = h.imageTarget(location)
			}
		}
		if err == nil {
			return h, store, target, nil
		}
	}
	return nil, nil, nil, err
}

// prefetch has an image in the store, and tells of progress.
func (o *overview) prefetch(ctx context.Context, ref string, p *progress) error {
	_, store, target, err := o.target(ref)
	if err != nil {
		return answerAdmin(p.w, nil, err)
	}
	last := api.Progress{Of: -1, Unit: "bytes"}
	err = store.Prefetch(ctx, target, func(have, size int64) {
		last.Done, last.Of = have, size
		_ = p.tell(last)
	})
	if err != nil {
		last.Error = err.Error()
	} else if last.Of >= 0 {
		last.Done = last.Of
	}
	last.End = err == nil
	return p.tell(last)
}

// scrub compares the blocks of all stores with their checksums, and tells of progress.
func (o *overview) scrub(ctx context.Context, p *progress) error {
	last, seen := api.Progress{Unit: "objects"}, make(map[*storage]bool)
	for _, h := range o.handlers {
		store := h.storage.opened()
		if store == nil || seen[h.storage] {
			continue
		}
		seen[h.storage] = true
		before := last
		_, bad, err := store.Scrub(ctx, func(done, of int) {
			last.Done, last.Of = before.Done+int64(done), before.Of+int64(of)
			_ = p.tell(last)
		})
		last.Bad += int64(bad)
		if err != nil {
			last.Error = err.Error()
			return p.tell(last)
		}
	}
	if len(seen) == 0 {
		return answerAdmin(p.w, nil, &fault{http.StatusUnprocessableEntity, "no_store", "no edge has a store; give it one"})
	}
	last.End = true
	return p.tell(last)
}
