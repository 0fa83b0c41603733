// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// scriptAsked is what is known of a request for a script at its beginning.
func scriptAsked(r *http.Request, key string) boots.Script {
	asked := boots.Script{Client: clientAddress(r), Firmware: r.UserAgent()}
	asked.MAC, _ = strings.CutPrefix(key, "mac ")
	if strings.HasPrefix(asked.MAC, "uuid ") {
		asked.MAC = ""
	}
	return asked
}

// scriptFor adds the node.
func scriptFor(asked *boots.Script, node *ipxe.Node) {
	asked.Node, asked.Name, asked.State = node.UUID, node.Name, string(node.ProvisionState)
}

// scriptAnswered records a request for a script when it has been answered, in the timeline. Only iPXE runs scripts: whoever
// else looks at one begins no boot.
func (h *Handler) scriptAnswered(w http.ResponseWriter, r *http.Request, asked *boots.Script) {
	if r.Method != http.MethodGet || !isIPXE(r) {
		return
	}
	refused := ""
	if reason := w.Header()[reasonHeader]; len(reason) > 0 {
		refused = reason[0]
	}
	switch {
	case refused == reasonStale || refused == reasonLoop && asked.Kind != "" || refused == asked.Reason && asked.Kind == string(ipxe.KindExplain):
	case refused != "":
		asked.Kind, asked.Reason = "", refused
	case asked.Kind == "" && r.Context().Err() != nil:
		asked.Reason = boots.ReasonGone
	case asked.Kind == "": // a script for a machine that is no node
		asked.Kind, asked.Reason = h.UnknownMAC, reasonNoNode
	}
	boot := h.site.boots.Script(asked)
	if traced := stepOf(r.Context()); traced != nil {
		traced.of(boot)
		traced.word(attributeKind, asked.Kind)
		traced.word(attributeReason, asked.Reason)
		traced.word(attributeState, asked.State)
		traced.word(attributeCache, asked.Cache)
		traced.word(attributeRequestID, asked.RequestID)
	}
}

// imageLabelMirror is what images of mirrors are called.
const imageLabelMirror = "mirror"

// imageNode is the node below whose path an image is.
func imageNode(r *http.Request, label string) string {
	if label == imageLabelMirror {
		return ""
	}
	node, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return strings.ToLower(node)
}

// imageAsked has the timeline follow a transfer by the counter of its bytes.
func (h *Handler) imageAsked(r *http.Request, label string, sent *atomic.Int64) *boots.Transfer {
	if r.Method != http.MethodGet {
		return nil
	}
	transfer := h.site.boots.Image(imageNode(r, label), clientAddress(r), label, sent)
	if traced := stepOf(r.Context()); traced != nil {
		traced.of(transfer.Ref())
	}
	return transfer
}

// imageAnswered records that an image was refused.
func (h *Handler) imageAnswered(w http.ResponseWriter, r *http.Request, label string) {
	if reason := w.Header().Get(reasonHeader); reason != "" && r.Method == http.MethodGet {
		boot := h.site.boots.ImageRefused(imageNode(r, label), clientAddress(r), label, reason)
		if traced := stepOf(r.Context()); traced != nil {
			traced.of(boot)
			traced.word(attributeReason, reason)
		}
	}
}

// agentAnswered records a call of the agent. Neither its body nor that of the answer is read.
func (h *Handler) agentAnswered(w *statusWriter, r *http.Request, route route) {
	call := boots.Call{Client: clientAddress(r), Status: w.status, Reason: w.Header().Get(reasonHeader), RequestID: r.Header.Get("X-OpenStack-Request-ID")}
	switch route.way {
	case wayLookup:
		call.Kind = boots.EventLookup
		query := r.URL.Query()
		if uuid := query.Get("node_uuid"); isUUID(uuid) {
			call.Node = strings.ToLower(uuid)
		}
		call.MACs = lookupMACs(query.Get("addresses"))
	case wayHeartbeat:
		call.Kind, call.Node = boots.EventHeartbeat, strings.ToLower(route.subject)
	case wayInspection:
		call.Kind = boots.EventInspection
	default:
		return
	}
	boot := h.site.boots.Agent(&call)
	if traced := stepOf(r.Context()); traced != nil {
		traced.of(boot)
		traced.number(attributeStatus, int64(call.Status))
		traced.word(attributeReason, call.Reason)
	}
}

// lookupMACs are the first addresses of a lookup, as many as a boot remembers.
func lookupMACs(addresses string) []string {
	var macs []string
	for address := range strings.SplitSeq(addresses, ",") {
		if mac, err := ipxe.ParseMAC(address); err == nil {
			macs = append(macs, string(mac))
		}
		if len(macs) == boots.MaxMACs {
			break
		}
	}
	return macs
}
