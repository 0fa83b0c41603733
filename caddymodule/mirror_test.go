// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestMirrorOfAll mirrors a server at the root of a site: the edge's own paths win, what changes something goes to the
// next handler, and what that changed is forgotten.
func TestMirrorOfAll(t *testing.T) {
	var version atomic.Int32
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			version.Add(1)
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Encoding", "x-gzip") // set whatever is accepted
		fmt.Fprintf(w, "%s %d", r.URL, version.Load())
	}))
	defer origin.Close()
	address := freeAddress(t)
	store := filepath.Join(t.TempDir(), "store")
	if err := load(t, siteConfig(address, origin.URL, "store "+store+" {\n\t\t\tmin_free 0\n\t\t}", "mirror / "+origin.URL)); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	ask := func(method, path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "identity")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return response.StatusCode, string(b)
	}
	for range 2 {
		if status, got := ask(http.MethodGet, "/a?b=c"); status != http.StatusOK || got != "/a?b=c 0" {
			t.Errorf("%d, %q", status, got)
		}
	}
	if status, got := ask(http.MethodGet, "/boot.ipxe"); status != http.StatusOK || !strings.HasPrefix(got, "#!ipxe") {
		t.Errorf("the edge's own path: %d, %q", status, got)
	}
	if status, _ := ask(http.MethodGet, "/v1/nodes"); status != http.StatusForbidden {
		t.Errorf("Ironic's API: %d, want 403", status)
	}
	if status, _ := ask(http.MethodPut, "/a?b=c"); status != http.StatusCreated {
		t.Errorf("PUT: %d, want the next handler's 201", status)
	}
	if status, got := ask(http.MethodGet, "/a?b=c"); status != http.StatusOK || got != "/a?b=c 1" {
		t.Errorf("after a PUT: %d, %q", status, got)
	}
}
