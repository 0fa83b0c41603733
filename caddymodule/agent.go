// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// passAgent hands a call of the agent to the next handler, which relays it to Ironic. What the edge knows of that node
// is stale from then on: the call is about to change its state. Of the answers only the node's UUID is read; they hold the
// agent's token, which Ironic gives away once only.
func (h *Handler) passAgent(w http.ResponseWriter, r *http.Request, route route, next caddyhttp.Handler) error {
	w.Header().Set("Cache-Control", noStore)
	switch route.way {
	case wayLookup:
		return h.passLookup(w, r, next)
	case wayHeartbeat, wayInspection:
		return h.passReport(w, r, route, next)
	}
	answer := newHeldAnswer(w)
	err := h.relay(answer, r, route.way, next)
	return h.conclude(w, r, answer, err)
}

// conclude gives the client the answer, or says that Ironic is gone. The agent takes any error of a lookup or heartbeat
// for a reason to try again, and 5xx for an inspection (ironic_python_agent/ironic_api_client.py, inspector.py).
func (h *Handler) conclude(w http.ResponseWriter, r *http.Request, answer *heldAnswer, err error) error {
	if errors.Is(err, errGone) {
		return h.refuse(w, r, *gone())
	}
	if err == nil {
		answer.write(w, r.Method)
	}
	return err
}

// passLookup relays the call by which an agent learns which node it is, and its token.
func (h *Handler) passLookup(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	q, bad := parseLookup(r)
	if bad != nil {
		return h.refuse(w, r, *bad)
	}
	from := clientAddress(r)
	key := strings.Join([]string{from.String(), q.encode(), r.Header.Get(versionHeader), r.Header.Get("X-Openstack-Request-Id")}, "\x00")
	if bad := h.guard(r, &q, from); bad != nil {
		return h.refuseAgent(w, r, bad)
	}
	defer h.forgetAsked(&q)
	r = r.Clone(r.Context())
	r.URL.RawQuery = q.encode() // what was judged is what Ironic reads
	r.RequestURI = r.URL.RequestURI()
	for {
		e, first := h.site.lookups.join(key)
		if first {
			return h.lookUp(w, r, key, e, from, next)
		}
		select {
		case <-e.done:
		case <-r.Context().Done():
			return nil // its answer stays for the next one who asks
		}
		if answer, ok := h.site.lookups.take(key, e); ok {
			h.metrics.lookupReplays.Inc()
			answer.write(w, r.Method)
			answer.clear()
			return nil
		}
	}
}

// lookUp does one lookup, to its end even if the client is gone before.
func (h *Handler) lookUp(w http.ResponseWriter, r *http.Request, key string, e *exchange, from netip.Addr, next caddyhttp.Handler) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), exchangeTime)
	defer cancel()
	answer := newHeldAnswer(w)
	defer answer.clear()
	finished := false
	defer func() {
		if !finished { // a panic: nobody is to wait for ever
			h.site.lookups.finish(key, e, nil, 0, 0)
		}
	}()
	err := h.relay(answer, r.WithContext(ctx), wayLookup, next)
	var kept *heldAnswer
	if err == nil && answer.ok() && !answer.through {
		kept = answer
		h.site.seen.Heard(uuidIn(answer.body), from)
	}
	// That the client is there is no proof that it gets the answer; that it is gone is one that it does not.
	left := givenAtMost
	gone := r.Context().Err() != nil
	if !gone {
		left--
	}
	h.site.lookups.finish(key, e, kept, left, keepAnswer)
	finished = true
	if gone {
		return nil
	}
	return h.conclude(w, r, answer, err)
}

// The largest bodies. A heartbeat has an address, a token and perhaps a certificate; an inspection's report has the
// inventory and, with the collector "logs", the journal as base64, a few megabytes.
const (
	maxHeartbeat  = 64 << 10
	maxInspection = 16 << 20
)

// passReport relays a heartbeat or an inspection's report.
func (h *Handler) passReport(w http.ResponseWriter, r *http.Request, route route, next caddyhttp.Handler) error {
	limit := int64(maxHeartbeat)
	if route.way == wayInspection {
		limit = maxInspection
	}
	tooLarge := refusal{http.StatusRequestEntityTooLarge, reasonTooLarge, fmt.Sprintf("a body of this call has %d bytes at most", limit)}
	switch {
	case !isJSON(r.Header):
		return h.refuse(w, r, refusal{http.StatusUnsupportedMediaType, reasonType, "a body of this call is application/json"})
	case r.ContentLength > limit:
		w.Header().Set("Connection", "close") // rather than read it
		return h.refuse(w, r, tooLarge)
	}
	from := clientAddress(r)
	if bad := h.guardReport(r, route, from); bad != nil {
		return h.refuseAgent(w, r, bad)
	}
	if route.way == wayHeartbeat {
		defer h.site.forgetNode(route.subject)
	}
	body := &boundedBody{ReadCloser: r.Body, left: limit}
	r = r.WithContext(r.Context())
	r.Body = body
	answer := newHeldAnswer(w)
	defer answer.clear()
	err := h.relay(answer, r, route.way, next)
	if body.exceeded && !answer.through {
		w.Header().Set("Connection", "close")
		return h.refuse(w, r, tooLarge)
	}
	if err == nil && answer.ok() {
		uuid := strings.ToLower(route.subject)
		if route.way == wayInspection {
			uuid = uuidIn(answer.body)
		}
		h.site.seen.Heard(uuid, from)
	}
	return h.conclude(w, r, answer, err)
}

// boundedBody fails where a body is too long, and remembers it: whoever reads it calls that an error of his own.
type boundedBody struct {
	io.ReadCloser
	left     int64
	exceeded bool
}

var errTooLarge = errors.New("the body is too large")

// Read reads what is allowed.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.exceeded {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		b.exceeded = true
		return int(b.left), errTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// uuidIn is the node's UUID in an answer to a lookup or an inspection's report, in lower case, or empty.
func uuidIn(body []byte) string {
	var found struct {
		UUID string `json:"uuid"`
		Node struct {
			UUID string `json:"uuid"`
		} `json:"node"`
	}
	if json.Unmarshal(body, &found) != nil {
		return ""
	}
	if uuid := found.Node.UUID + found.UUID; isUUID(uuid) {
		return strings.ToLower(uuid)
	}
	return ""
}

// forgetAsked makes stale what is known of the nodes that a lookup names.
func (h *Handler) forgetAsked(q *question) {
	if q.uuid != "" {
		h.site.forgetNode(q.uuid)
	}
	for _, mac := range q.macs {
		h.site.forgetAddress(mac)
	}
}
