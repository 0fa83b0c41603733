// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// reasonHeader carries the stable code of why a request was refused.
const reasonHeader = "X-Ironic-Edge-Reason"

// The reason codes of this package, beside those of ipxe.Reason. Codes are API.
const (
	reasonAbsoluteForm = "absolute_form"      // the request is one for a forward proxy
	reasonAPI          = "api"                // a part of Ironic's API that a rack has no business with
	reasonPath         = "path"               // a path that two servers could read in two ways
	reasonMethod       = "method"             // a method that this path does not take
	reasonQuery        = "query"              // both or none of node_uuid and port_address
	reasonMAC          = "mac"                // not a MAC address
	reasonUUID         = "uuid"               // not a UUID
	reasonDriver       = "driver"             // a driver that is not the node's
	reasonNoNode       = "no_node"            // Ironic knows no such node or port
	reasonUnavailable  = "ironic_unavailable" // Ironic cannot be asked
	reasonSlow         = "ironic_slow"        // Ironic has not answered within answer_deadline
	reasonQueue        = "ironic_queue"       // too many questions wait for Ironic already
	reasonClientRate   = "client_rate"        // the client asks for too many nodes that are not known here
	reasonConductor    = "conductor_slow"     // the conductor has not given a node's script within answer_deadline
	reasonBadAnswer    = "ironic_answer"      // Ironic's answer cannot be used
	reasonReference    = "reference"          // an image reference that this edge cannot follow
	reasonStale        = "stale"              // Ironic does not answer; this is what it said before
	reasonAbsent       = "no_node_stale"      // Ironic does not answer; it knew no such port before
	reasonStarting     = "starting"           // the store is not open yet
	reasonBusy         = "busy"               // as many transfers as max_transfers allows are under way
	reasonType         = "content_type"       // a body that is not JSON
	reasonTooLarge     = "too_large"          // a body of more bytes than such a call can have
	reasonBeacon       = "beacon"             // a report of a script that cannot be one
	reasonLoop         = "loop"               // the node boots its agent over and over in vain

	reasonLookupUnseen  = "lookup_unseen"  // a lookup of a node that got no script here lately
	reasonLookupAddress = "lookup_address" // a lookup from another address than the script was fetched from
	reasonLookupVersion = "lookup_version" // a lookup in an API version that shows an agent's token to anybody

	reasonOrigin  = "origin"  // an image's origin does not deliver it
	reasonAddress = "address" // an image reference leads where only the configuration may

	reasonConductorFile = "conductor_file" // an image reference leads to a file of the conductor's that is not the node's
)

// refusal is an answer that is none of what was asked for.
type refusal struct {
	status int
	reason string
	text   string // one clause for people, without secrets
}

// pauses are when a client is to come back after a 503, in whole seconds from least on, spread so that a rack does not
// return as one. Whoever waits for an answer that is on its way comes back before that is too old (lateLife).
var pauses = map[string]struct{ least, spread int }{
	reasonUnavailable: {3, 5},
	reasonSlow:        {1, 3},
	reasonConductor:   {1, 3},
	reasonQueue:       {5, 10},
	reasonClientRate:  {5, 10},
	reasonStarting:    {1, 1},
	reasonBusy:        {3, 5},
	reasonOrigin:      {3, 5},
}

// longestWait bounds Retry-After: a firmware that waits shows nothing on its console.
const longestWait = 30 * time.Second

// retryAfter is the header of a 503: numeric, since iPXE takes a date for five seconds, at least one second, since it takes 0
// for at once, and less than ipxe_timeout, in which iPXE counts the waiting.
func (h *Handler) retryAfter(reason string, known time.Duration) string {
	pause := pauses[reason]
	spread := time.Duration(max(pause.spread, 1)) * time.Second
	least := max(time.Duration(pause.least)*time.Second, min(known, longestWait-spread))
	wait := least + rand.N(spread)
	if limit := h.options.Timeout; limit > 0 {
		wait = min(wait, limit/2)
	}
	return strconv.Itoa(int(max(wait, time.Second) / time.Second))
}

// refuse answers a client with Ironic's own form of an error, which its clients read, and the reason code. Every 503 says
// when to come back.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, f refusal) error {
	return h.refuseFor(w, r, f, 0)
}

// refuseFor is refuse where it is known how long a 503 holds good at least.
func (h *Handler) refuseFor(w http.ResponseWriter, r *http.Request, f refusal, known time.Duration) error {
	h.metrics.refusal(f.status, f.reason)
	h.site.refused.add(r, f)
	if c := h.logger.Check(zap.DebugLevel, "refused"); c != nil {
		c.Write(zap.Int("status", f.status), zap.String("reason", f.reason), zap.String("path", r.URL.Path))
	}
	header := w.Header()
	header.Set(reasonHeader, f.reason)
	if f.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", h.retryAfter(f.reason, known))
		// iPXE opens another when it comes back. Ten thousand machines that wait would hold half a gigabyte of ours.
		header.Set("Connection", "close")
	}
	header.Set("Cache-Control", noStore)
	body := errorBody(f)
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
	return nil
}

// errorBody is a JSON object in a JSON string, as Ironic's clients know it: pecan writes 405 differently from the rest
// (ironic/api/middleware/parsable_error.py).
func errorBody(f refusal) []byte {
	var inner any = struct {
		Code  string `json:"faultcode"`
		Text  string `json:"faultstring"`
		Debug any    `json:"debuginfo"`
	}{faultCode(f.status), f.text, nil}
	if f.status == http.StatusMethodNotAllowed {
		inner = struct {
			Code        int    `json:"code"`
			Title       string `json:"title"`
			Description string `json:"description"`
		}{f.status, http.StatusText(f.status), f.text}
	}
	text, _ := json.Marshal(inner) // structs of strings
	body, _ := json.Marshal(map[string]string{"error_message": string(text)})
	return body
}

func faultCode(status int) string {
	if status < 500 {
		return "Client"
	}
	return "Server"
}

// explain answers a client with a reason. iPXE shows no text that comes with an error status, so where the way is not
// meant to go on to the next NIC it gets a script that shows the text.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, node *ipxe.Node, f refusal) error {
	if !isIPXE(r) {
		return h.refuse(w, r, f)
	}
	h.metrics.refusal(http.StatusOK, f.reason)
	w.Header().Set(reasonHeader, f.reason)
	script := ipxe.Explain(ipxe.Reason(f.reason), node, f.text)
	text, _ := script.AppendText(nil)
	return h.writeScript(w, r, text)
}

func isIPXE(r *http.Request) bool { return strings.HasPrefix(r.UserAgent(), "iPXE/") }

// refuseLookup answers when a node was not found: it is unknown, or Ironic could not tell.
func (h *Handler) refuseLookup(w http.ResponseWriter, r *http.Request, key string, status cache.Status, err error) error {
	if r.Context().Err() != nil {
		return nil // the client is gone
	}
	switch {
	case errors.Is(err, ironic.ErrNoNode):
		if strings.HasPrefix(key, "mac ") {
			if done, err := h.unknownMAC(w, r, key, status); done {
				return err
			}
		}
		return h.refuse(w, r, refusal{http.StatusNotFound, reasonNoNode, "no node has the " + key})
	case errors.Is(err, ironic.ErrBadAnswer):
		h.quiet.Error("Ironic's answer cannot be used", zap.String("key", key), zap.Error(err))
		return h.explain(w, r, nil, refusal{http.StatusBadGateway, reasonBadAnswer, "Ironic's answer about the " + key + " cannot be used"})
	}
	h.quiet.Warn("Ironic cannot be asked", zap.String("key", key), zap.Error(err))
	f, known := unasked(err)
	return h.refuseFor(w, r, f, known)
}

// refuseNode answers when there is a node but no script or image for it.
func (h *Handler) refuseNode(w http.ResponseWriter, r *http.Request, node *ipxe.Node, err error) error {
	var nothing *ipxe.NotBootable
	var refused *ipxe.Refused
	switch {
	case errors.As(err, &nothing):
		return h.refuse(w, r, refusal{http.StatusNotFound, string(nothing.Reason), nothing.Text})
	case errors.As(err, &refused):
		h.quiet.Warn("no script can be given", nodeField(node), zap.String("reason", string(refused.Reason)), zap.Error(err))
		return h.explain(w, r, node, refusal{http.StatusBadGateway, string(refused.Reason), refused.Text})
	}
	h.quiet.Warn("no script can be given now", nodeField(node), zap.Error(err))
	f, known := unasked(err)
	return h.refuseFor(w, r, f, known)
}

func nodeField(node *ipxe.Node) zap.Field {
	if node == nil {
		return zap.Skip()
	}
	return zap.String("node", node.UUID)
}
