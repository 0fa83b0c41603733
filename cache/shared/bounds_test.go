// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// TestEvictedIsForgotten asks for many targets, of which the store keeps a few. What was known of the others stayed in
// memory.
func TestEvictedIsForgotten(t *testing.T) {
	t.Parallel()
	e := newEdge(t, content(testBytes(10), `"1"`, "Cache-Control: max-age=60"))
	e.store.SetLimits(3*testBlock, 0)
	e.mu.Lock()
	e.sweepAt = 10
	e.mu.Unlock()
	for i := range 25 {
		e.get(t, fmt.Sprint("/", i))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.kept); n < 3 || n > 20 {
		t.Errorf("%d targets are remembered, 3 can be in the store", n)
	}
	for key := range e.store.KeyInfos() {
		if len(e.kept[key]) != 1 {
			t.Errorf("%s is in the store and not remembered", key)
		}
	}
}

// TestAskAfterClose asks a cache that was closed: what waits for questions has waited, and the store may be closed, too.
func TestAskAfterClose(t *testing.T) {
	t.Parallel()
	e := newEdge(t, content(testBytes(10), `"1"`, "Cache-Control: max-age=0, stale-while-revalidate=60"))
	e.get(t, "/kept")
	e.Close()
	asked := e.requests.Load()
	target := e.target
	target.Key, target.URL = "/k", &url.URL{Scheme: "http", Host: "a", Path: "/k"}
	err := e.Serve(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/k", nil), &target)
	var failure *Failure
	if !errors.As(err, &failure) || failure.Status != http.StatusServiceUnavailable || !errors.Is(err, disk.ErrClosed) {
		t.Errorf("the error is %v, want 503 for a cache that is closed", err)
	}
	e.renew(&target, rules.Request{Method: http.MethodGet, URL: target.URL, Header: http.Header{}})
	if n := e.requests.Load(); n != asked || len(e.pending) > 0 {
		t.Errorf("the origin was asked %d times, %d questions are under way", n-asked, len(e.pending))
	}
}
