// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// passAgent hands a call of the agent to the next handler, which relays it to Ironic. What the edge knows of that node
// is stale from then on: the call is about to change its state. Neither bodies nor answers are read: they hold the
// agent's token, which Ironic gives away once only.
func (h *Handler) passAgent(w http.ResponseWriter, r *http.Request, route route, next caddyhttp.Handler) error {
	w.Header().Set("Cache-Control", noStore)
	h.metrics.relayed(route.way.String())
	// Deferred, since reverse_proxy panics when an answer breaks off that Ironic has begun.
	switch route.way {
	case wayHeartbeat:
		defer h.site.forgetNode(route.subject)
	case wayLookup:
		defer h.forgetAsked(r)
	}
	return next.ServeHTTP(w, r)
}

// maxAsked is how many addresses of one lookup are looked at. The agent sends those of all its NICs.
const maxAsked = 64

// forgetAsked makes stale what is known of the nodes that a lookup names.
func (h *Handler) forgetAsked(r *http.Request) {
	query := r.URL.Query()
	if uuid := query.Get("node_uuid"); isUUID(uuid) {
		h.site.forgetNode(uuid)
	}
	n := 0
	for address := range strings.SplitSeq(query.Get("addresses"), ",") {
		if n++; n > maxAsked {
			return
		}
		if mac, err := ipxe.ParseMAC(address); err == nil {
			h.site.forgetAddress(mac)
		}
	}
}
