// SPDX-License-Identifier: Apache-2.0

//go:build integration

package edge

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
)

// open are the parts of Ironic's API that a rack may use.
var open = []string{"lookup", "heartbeat", "continue_inspection"}

// closed walks the index of a real Ironic's API and wants every other part of it refused by the edge, whose site would
// relay anything.
func closed(t *testing.T, e *Edge, ironic string) {
	r := ask(t, http.MethodGet, ironic+"/v1")
	defer r.Body.Close()
	var index map[string]any
	if err := json.NewDecoder(r.Body).Decode(&index); err != nil {
		t.Fatal(err)
	}
	walked := 0
	for name, value := range index {
		if _, links := value.([]any); !links || name == "links" || name == "media_types" || slices.Contains(open, name) {
			continue
		}
		walked++
		for _, path := range []string{"/v1/" + name, "/v1/" + name + "/", "/v1/" + name + "/x", "/v1/" + name + "/x/y", "//v1/" + name, "/v1/lookup/../" + name} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				r := ask(t, method, "http://"+e.Address+path)
				r.Body.Close()
				if reason := r.Header.Get("X-Ironic-Edge-Reason"); r.StatusCode != http.StatusForbidden && r.StatusCode != http.StatusBadRequest || reason == "" {
					t.Errorf("%s %s: %d, reason %q", method, path, r.StatusCode, reason)
				}
			}
		}
	}
	if walked < 8 {
		t.Errorf("the index has %d parts, which cannot be all of the API", walked)
	}
}

// ask makes a request as it stands: nothing cleans the path, and a redirection is an answer.
func ask(t *testing.T, method, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}
