// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ServeHTTP sends a request on its way.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.requests.Add(1)
	defer h.requestEnds()
	if r.URL.IsAbs() {
		return h.refuse(w, r, refusal{http.StatusBadRequest, reasonAbsoluteForm, "this edge is no forward proxy"})
	}
	route := classify(r.URL.Path, r.URL.EscapedPath())
	switch route.way {
	case wayNext:
		if m := h.mirrorOf(r.URL.Path); m != nil {
			r, traced := h.traceRequest(r, route)
			defer traced.answered()
			defer h.imageAnswered(w, r, imageLabelMirror)
			return h.serveMirror(w, r, m, next)
		}
		return next.ServeHTTP(w, r)
	case wayRefused:
		return h.refuse(w, r, refusal{http.StatusForbidden, reasonAPI, "this edge is no door to Ironic's API"})
	case wayBadPath:
		return h.refuse(w, r, refusal{http.StatusBadRequest, reasonPath, "the path has more than one reading"})
	}
	if methods := route.way.methods(); !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return h.refuse(w, r, refusal{http.StatusMethodNotAllowed, reasonMethod, "method " + r.Method + " is not allowed here"})
	}
	r, traced := h.traceRequest(r, route)
	defer traced.answered()
	switch route.way {
	case wayBootstrap:
		if probe := r.Header.Get(probeHeader); probe != "" {
			w.Header().Set(probeHeader, h.proof(probe))
		}
		return h.writeScript(w, r, h.bootstrap)
	case wayBeacon:
		return h.serveBeacon(w, r)
	case wayMAC, wayUUID, wayPassthru:
		return h.serveScript(w, r, route)
	case wayImage:
		defer h.imageAnswered(w, r, route.label)
		return h.serveImage(w, r, route)
	}
	answer := &statusWriter{ResponseWriter: w}
	defer h.agentAnswered(answer, r, route)
	return h.passAgent(answer, r, route, next)
}
