// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

// baseURL is the URL at which the client reached this edge. The Host header has no say in it: UEFI HTTP Boot leaves the
// port out, and anybody can write anything into it.
func (h *Handler) baseURL(r *http.Request) string {
	switch {
	case h.publicURL != "":
		return h.publicURL
	case h.PublicURL != "":
		return requestValue(r, h.PublicURL)
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return scheme + local.String()
	}
	return ""
}

// requestValue fills in the placeholders of the request.
func requestValue(r *http.Request, s string) string {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		return repl.ReplaceKnown(s, "")
	}
	return s
}
