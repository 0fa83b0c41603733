// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestNoDoorToTheAPI walks all of Ironic's API, with and without the version in front, which it takes both, and wants
// nothing but the agent's calls and the version documents to come through.
func TestNoDoorToTheAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/ironic_routes.txt")
	if err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, nil)
	walked, passed := 0, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		method, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || method == "#" {
			continue
		}
		bare := strings.TrimPrefix(path, "/v1")
		for _, template := range []string{path, path + "/", bare, "/" + path, "/x/.." + bare} {
			for _, id := range []string{someUUID, "name", nodeUUID(1)} {
				if template == "" || template == "/" || template == "/x/.." {
					continue
				}
				walked++
				target := strings.ReplaceAll(template, "{id}", id)
				r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader("{}"))
				r.Header.Set("Content-Type", "application/json")
				next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
					passed[method+" "+template] = true
					return nil
				})
				w := httptest.NewRecorder()
				if err := e.handler.ServeHTTP(w, r, next); err != nil {
					t.Fatal(err)
				}
				open := strings.HasPrefix(target, "/v1/heartbeat/") || target == "/v1/lookup" || target == "/v1/continue_inspection" ||
					target == "/v1" || target == "/v1/"
				// A path that has other methods, or must have a query, says so itself; one with two readings is refused for that.
				if !open && w.Code != http.StatusForbidden && w.Header().Get(reasonHeader) != reasonPath {
					t.Errorf("%s %s = %d %s", method, target, w.Code, w.Header().Get(reasonHeader))
				}
			}
		}
	}
	if walked < 5000 {
		t.Errorf("%d requests cannot be all of the API", walked)
	}
	for _, open := range []string{"GET /v1", "GET /v1/", "POST /v1/heartbeat/{id}", "POST /v1/continue_inspection"} {
		if !passed[open] {
			t.Errorf("%s does not come through", open)
		}
		delete(passed, open)
	}
	for other := range passed {
		t.Errorf("%s comes through", other)
	}
}
