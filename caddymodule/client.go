// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// clientAddress is the address of the client: behind the proxies that trusted_proxies names, the one that they name. An
// IPv4 address is the same whichever kind of socket it came to. It is invalid where there is none to tell.
func clientAddress(r *http.Request) netip.Addr {
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		address, _ := netip.ParseAddr(ip)
		return address.Unmap()
	}
	address, _ := netip.ParseAddrPort(r.RemoteAddr) // outside of Caddy's server
	return address.Addr().Unmap()
}
