// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestAbortedCallMakesStale is about a heartbeat that Ironic took and whose answer broke off: reverse_proxy ends the
// connection with a panic then.
func TestAbortedCallMakesStale(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.NodeTTL = caddy.Duration(time.Hour) })
	target := "/pxelinux.cfg/" + nodeMAC(2)
	e.get(t, target)
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("the call ends with %v, want what the next handler ended it with", p)
			}
		}()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), nil)
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			e.api.SetProvisionState(nodeUUID(2), "active")
			panic(http.ErrAbortHandler)
		})
		_ = e.handler.ServeHTTP(httptest.NewRecorder(), r, next)
	}()
	if got := e.get(t, target); strings.Contains(got.body, "deploy_kernel") {
		t.Errorf("after the heartbeat the node gets the script of its old state:\n%s", got.body)
	}
}
