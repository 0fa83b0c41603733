// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ironic/notification"
)

// TestStaleTable is what a node gets while Ironic is gone, by its last state, the age of that, and what was seen of the node
// since: within the window of its kind what it would have got, and nothing else; after a signal nothing.
func TestStaleTable(t *testing.T) {
	t.Parallel()
	const rack = "192.0.2.17" // where the machines ask from
	kinds := []struct {
		node   int
		state  string
		window time.Duration
		agent  bool
	}{
		{1, "deploying", 15 * time.Minute, true},
		{2, "wait call-back", 15 * time.Minute, true},
		{3, "clean wait", 15 * time.Minute, true},
		{5, "rescue wait", 15 * time.Minute, true},
		{6, "active", 24 * time.Hour, false},
		{7, "active, a ramdisk", 0, false},
		{8, "active, an ISO", 0, false},
		{9, "active, a volume", 0, false},
		{10, "an installer", 0, false},
	}
	signals := map[string]func(t *testing.T, b *bubble, node int){
		"none": func(*testing.T, *bubble, int) {},
		"heartbeat": func(t *testing.T, b *bubble, node int) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/heartbeat/"+nodeUUID(node), strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			taken := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusAccepted); return nil })
			_ = b.handler.ServeHTTP(httptest.NewRecorder(), r, taken)
		},
		"lookup": func(t *testing.T, b *bubble, node int) {
			r := httptest.NewRequestWithContext(rackContext(t, rack), http.MethodGet, "/v1/lookup?addresses="+strings.ReplaceAll(nodeMAC(node), "-", ":"), nil)
			r.Header.Set(versionHeader, "1.68")
			_ = b.handler.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(http.StatusOK)
				return nil
			}))
		},
		"notification": func(t *testing.T, b *bubble, node int) {
			b.handler.site.changed(notification.Change{Object: "node", Node: nodeUUID(node)})
		},
	}
	for signal, send := range signals {
		for _, age := range []time.Duration{4 * time.Second, time.Minute, 14 * time.Minute, 16 * time.Minute, 23 * time.Hour, 25 * time.Hour} {
			t.Run(fmt.Sprint(signal, " ", age), func(t *testing.T) {
				t.Parallel()
				inBubble(t, nil, func(t *testing.T, b *bubble) {
					for _, k := range kinds {
						b.ask(t, "/pxelinux.cfg/"+nodeMAC(k.node), rack)
					}
					pass(time.Second)
					b.suffer(refused)
					for _, k := range kinds {
						send(t, b, k.node)
					}
					pass(age - time.Second)
					for _, k := range kinds {
						got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(k.node), rack)
						usable := signal == "none" && age < max(k.window, defaultNodeTTL)
						if gets := strings.Contains(got.body, "y_kernel ") || strings.Contains(got.body, "e_kernel "); gets != (k.agent && usable) {
							t.Errorf("%s: gets the agent: %v", k.state, gets)
						}
						stale := got.header.Get(reasonHeader) == reasonStale
						switch {
						case !usable && (got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == ""):
							t.Errorf("%s: %d, want 503", k.state, got.status)
						case usable && (got.status != http.StatusOK || stale != (age >= defaultNodeTTL)):
							t.Errorf("%s: %d, stale %v", k.state, got.status, stale)
						}
					}
				})
			})
		}
	}
}

// rackContext is that of a request from an address.
func rackContext(t *testing.T, address string) context.Context {
	return context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: address})
}
