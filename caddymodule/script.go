// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// serveScript answers with the script of the node that the path or the query names.
func (h *Handler) serveScript(w http.ResponseWriter, r *http.Request, route route) error {
	key, bad := scriptKey(r, route)
	if bad != nil {
		return h.refuse(w, r, *bad)
	}
	until := time.Now().Add(h.terms.Patience)
	asked := scriptAsked(r, key)
	defer h.scriptAnswered(w, r, &asked)
	entry, err := h.node(r.Context(), key, &h.terms)
	setCacheStatus(w, entry)
	asked.Cache = entry.Status.Label()
	stale := err != nil && entry.Usable && outage(err)
	if err != nil && !stale {
		if age, absent := h.wasAbsent(key, entry, err); absent {
			asked.Cache = cache.Stale.Label()
			return h.refuseAbsent(w, r, key, age)
		}
		return h.refuseLookup(w, r, key, entry.Status, err)
	}
	known := entry.Value
	scriptFor(&asked, known.node)
	if route.way == wayPassthru && known.node.Driver != route.subject {
		return h.refuse(w, r, refusal{http.StatusNotFound, reasonDriver, "the node has another driver"})
	}
	if stale {
		h.tellStale(w, known.node, entry.Age)
	}
	h.shadow(known.node)
	if h.Serve == "conductor" {
		asked.Kind = boots.KindConductor
		return h.serveConductor(w, r, key, known.node, entry.Status, until)
	}
	boot := h.boot(r)
	asked.RequestID = boot.RequestID
	if text := known.rendered.Load(); !stale && text.fits(h, &boot) {
		if text.agent {
			if held, err := h.agentBoots(w, r, key, known.node, entry.Status); held {
				return err
			}
		}
		asked.Kind, asked.Reason = text.kind, text.reason
		return h.writeRendered(w, r, text, boot.RequestID, entry.Status)
	}
	script, err := h.selectScript(r, known.node, &boot, until)
	if err != nil {
		return h.refuseNode(w, r, known.node, err)
	}
	if script.Kind == ipxe.KindDeploy {
		if held, err := h.agentBoots(w, r, key, known.node, entry.Status); held {
			return err
		}
	}
	if stale {
		script = script.Stale(entry.Age)
	}
	asked.Kind, asked.Reason = string(script.Kind), string(script.Reason)
	return h.render(w, r, known, &script, &boot, entry.Status)
}

// scriptKey is what the request names a node by.
func scriptKey(r *http.Request, route route) (string, *refusal) {
	switch route.way {
	case wayUUID:
		return uuidKey(route.subject), nil
	case wayMAC:
		mac, err := ipxe.ParseMAC(route.subject)
		if err == nil {
			return macKey(mac), nil
		}
		status := http.StatusBadRequest
		if strings.HasPrefix(r.URL.Path, "/pxelinux.cfg/") {
			status = http.StatusNotFound // PXELINUX tries names that are no MAC and goes on after a 404
		}
		return "", &refusal{status, reasonMAC, "the path's last element " + err.Error()}
	}
	query := r.URL.Query()
	uuids, macs := query["node_uuid"], query["port_address"]
	if len(uuids)+len(macs) != 1 {
		return "", &refusal{http.StatusBadRequest, reasonQuery, "give one of node_uuid and port_address"}
	}
	if len(macs) == 1 {
		mac, err := ipxe.ParseMAC(macs[0])
		if err != nil {
			return "", &refusal{http.StatusBadRequest, reasonMAC, "port_address " + err.Error()}
		}
		return macKey(mac), nil
	}
	if !isUUID(uuids[0]) {
		return "", &refusal{http.StatusBadRequest, reasonUUID, "node_uuid is not a UUID"}
	}
	return uuidKey(uuids[0]), nil
}

func macKey(mac ipxe.MAC) string { return "mac " + string(mac) }
func uuidKey(uuid string) string { return "uuid " + strings.ToLower(uuid) }

// load asks Ironic for a node, for a client.
func (h *Handler) load(ctx context.Context, key, client string) (*knownNode, error) {
	ctx, step := startStep(ctx, "ironic-edge resolve node", trace.SpanKindInternal)
	defer step.end()
	node, err := h.askByKey(ctx, key, client)
	if err != nil {
		step.fail()
		return nil, err
	}
	h.site.boots.State(node.UUID, string(node.ProvisionState))
	return &knownNode{node: node}, nil
}

// node finds a node in the cache or in Ironic.
func (h *Handler) node(ctx context.Context, key string, terms *lookup.Terms[*knownNode]) (lookup.Entry[*knownNode], error) {
	client := clientOf(ctx) // the work must not look into the request, which goes on beside it
	entry, err := h.site.nodes.Get(ctx, key, h.site.feed.terms(h, terms), func(ctx context.Context, key string) (*knownNode, error) { return h.load(ctx, key, client) })
	h.metrics.lookup(entry.Status)
	return entry, err
}

// boot is what this answer needs beside the node's facts.
func (h *Handler) boot(r *http.Request) ipxe.Boot {
	b := ipxe.Boot{BaseURL: h.baseURL(r), RequestID: newRequestID()}
	if h.options.APIURL == "" && h.APIURL != "" {
		b.APIURL = requestValue(r, h.APIURL)
	}
	return b
}

// newRequestID mints what Ironic would have taken from the API request behind the boot: "req-" and a UUID
// (oslo_context generate_request_id). All of its second half is random, the bits of a UUID's variant, too, at which nobody
// looks (oslo_middleware request_id): it is the id of a trace as well, and by that half samplers choose traces.
func newRequestID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	var out [40]byte
	copy(out[:], "req-")
	hex.Encode(out[4:], u[:4])
	out[12] = '-'
	hex.Encode(out[13:], u[4:6])
	out[17] = '-'
	hex.Encode(out[18:], u[6:8])
	out[22] = '-'
	hex.Encode(out[23:], u[8:10])
	out[27] = '-'
	hex.Encode(out[28:], u[10:])
	return string(out[:])
}

// selectScript picks the node's script, with the secrets that it needs from the conductor for this one time.
func (h *Handler) selectScript(r *http.Request, node *ipxe.Node, boot *ipxe.Boot, until time.Time) (ipxe.Script, error) {
	script, err := ipxe.Select(node, *boot, &h.options)
	var refused *ipxe.Refused
	if errors.As(err, &refused) && refused.Reason == ipxe.ReasonSecret && h.conductor != "" {
		if boot.Secrets, err = h.conductorSecrets(r, node, until); err != nil {
			return ipxe.Script{}, err
		}
		return ipxe.Select(node, *boot, &h.options)
	}
	return script, err
}

// render writes a script for a node, and remembers it with what is known of the node unless it holds secrets.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, known *knownNode, script *ipxe.Script, boot *ipxe.Boot, status cache.Status) error {
	text, err := script.AppendText(nil)
	if err != nil {
		return h.refuseNode(w, r, known.node, err)
	}
	if script.Kind == ipxe.KindExplain {
		w.Header().Set(reasonHeader, string(script.Reason))
		h.quiet.Warn("node in a provision state that this release does not know",
			zap.String("node", known.node.UUID), zap.String("provision_state", string(known.node.ProvisionState)))
	} else if boot.Secrets == nil && !script.IsStale() {
		known.rendered.Store(&rendered{handler: h, kind: string(script.Kind), reason: string(script.Reason), base: boot.BaseURL, api: boot.APIURL, text: text,
			agent: script.Kind == ipxe.KindDeploy,
			id:    bytes.Index(text, []byte(boot.RequestID)), hits: h.metrics.script(script.Kind, script.Reason, cache.Hit)})
	}
	h.metrics.script(script.Kind, script.Reason, status).Inc()
	return h.writeScript(w, r, text)
}

// writeScript writes any iPXE script. Scripts are made for one request and must not be kept by anybody on the way.
func (h *Handler) writeScript(w http.ResponseWriter, r *http.Request, text []byte) error {
	header := w.Header()
	// Values are this answer's own: Caddy's header directive replaces parts of them in place.
	values := []string{scriptType, noStore, strconv.Itoa(len(text))}
	header["Content-Type"], header["Cache-Control"], header["Content-Length"] = values[0:1:1], values[1:2:2], values[2:3:3]
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	_, _ = w.Write(text) // the client is gone; there is nobody to tell
	return nil
}

const (
	scriptType = "text/plain; charset=utf-8"
	noStore    = "no-store"
)

// unknownMAC is the operator's choice for a MAC without a node. It reports whether that is a script.
func (h *Handler) unknownMAC(w http.ResponseWriter, r *http.Request, key string, status cache.Status) (bool, error) {
	known, boot := &knownNode{node: &ipxe.Node{UUID: ipxe.UnknownUUID}}, h.boot(r)
	switch h.UnknownMAC {
	case "local":
		script := ipxe.LocalBootUnknown()
		return true, h.render(w, r, known, &script, &boot, status)
	case "inspect":
		script, err := ipxe.InspectUnknown(boot, &h.options)
		if err != nil {
			return true, h.refuseNode(w, r, known.node, err)
		}
		h.site.strangers.Script(seen.Fetch{MAC: strings.TrimPrefix(key, "mac "), From: clientAddress(r)}, seen.Limit{})
		return true, h.render(w, r, known, &script, &boot, status)
	}
	return false, nil
}
