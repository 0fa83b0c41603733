// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func TestNodeByNameTakesOneCall(t *testing.T) {
	t.Parallel()
	odd := node1()
	odd.UUID, odd.Name, odd.Ports, odd.Portgroups = "1be26c0b-03f2-4d2e-ae87-c02d7f33c124", "rack17~n.1_x-", nil, nil
	api, c := start(t, node1(), odd)
	n, err := c.NodeByName(t.Context(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	byUUID, err := c.NodeByUUID(t.Context(), uuid1)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(n)
	want, _ := json.Marshal(byUUID)
	if string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	calls(t, api, map[string]int{"v1": 1, "node": 2})
	if n, err := c.NodeByName(t.Context(), odd.Name); err != nil || n.UUID != odd.UUID {
		t.Errorf("%v, %v", n, err)
	}
}

// TestNoNodeHasSuchAName has names that Ironic never gives to a node. Those that lead elsewhere in its API are not asked for.
func TestNoNodeHasSuchAName(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	for name, asked := range map[string]int{
		"n2": 1, "": 0, ".": 0, "..": 0, "detail": 0, "states": 0, "validate": 0, "n1/states": 0, "n1?fields=uuid": 0, "n 1": 0, "n1%2fstates": 0,
		"n\x001": 0, "nü": 0, uuid1: 0, strings.ToUpper(uuid1): 0, strings.Repeat("n", 256): 0,
	} {
		before := len(api.Requests())
		if n, err := c.NodeByName(t.Context(), name); !errors.Is(err, ironic.ErrNoNode) {
			t.Errorf("%q: %v, %v", name, n, err)
		}
		nodes := 0
		for _, r := range api.Requests()[before:] {
			if strings.HasPrefix(r.Path, "/v1/nodes") {
				nodes++
			}
		}
		if nodes != asked {
			t.Errorf("%q: Ironic was asked %d times, want %d", name, nodes, asked)
		}
	}
}

// TestAnotherNodeThanTheNamed: an answer about another node is none.
func TestAnotherNodeThanTheNamed(t *testing.T) {
	t.Parallel()
	api := ironictest.New(node1())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.Replace(r.URL.Path, "/nodes/other", "/nodes/n1", 1)
		api.ServeHTTP(w, r)
	}))
	defer server.Close()
	c := newClient(t, ironic.Config{Endpoint: server.URL})
	if n, err := c.NodeByName(t.Context(), "other"); !errors.Is(err, ironic.ErrBadAnswer) {
		t.Errorf("%v, %v", n, err)
	}
}
