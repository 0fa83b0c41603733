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
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		e.api.SetProvisionState(nodeUUID(2), "active")
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"half`))
		panic(http.ErrAbortHandler)
	})
	w := httptest.NewRecorder()
	if err := e.handler.ServeHTTP(w, r, next); err != nil || w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "half") {
		t.Errorf("the call ends with %d %s, %v; want 503, upon which an agent tries again", w.Code, w.Body, err)
	}
	if got := e.get(t, target); strings.Contains(got.body, "deploy_kernel") {
		t.Errorf("after the heartbeat the node gets the script of its old state:\n%s", got.body)
	}
}
