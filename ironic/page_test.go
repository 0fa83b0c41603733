// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func manyNodes(n int) []ironictest.Node {
	nodes := make([]ironictest.Node, n)
	for i := range nodes {
		nodes[i] = ironictest.Node{UUID: fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i), ProvisionState: "active", Shard: "rack17",
			Ports: []ironictest.Port{{Address: fmt.Sprintf("52:54:00:17:%02x:%02x", i/256, i%256)}}}
	}
	return nodes
}

// TestSmallerPages is about a line, or a fleet, for which the usual page is too large: the list comes in smaller ones.
func TestSmallerPages(t *testing.T) {
	t.Parallel()
	for name, tooLarge := range map[string]func(http.ResponseWriter, *http.Request){
		"too slow":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"too large": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), maxBody+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const nodes = 300
			api := ironictest.New(manyNodes(nodes)...)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if limit, err := strconv.Atoi(r.FormValue("limit")); err == nil && limit > 100 {
					tooLarge(w, r)
					return
				}
				api.ServeHTTP(w, r)
			}))
			defer server.Close()
			c, err := New(t.Context(), Config{Endpoint: server.URL, Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			seen := make(map[string]bool)
			for n, err := range c.Nodes(t.Context(), Scope{Shard: "rack17"}) {
				if err != nil {
					t.Fatal(err)
				}
				seen[n.UUID] = true
			}
			if len(seen) != nodes {
				t.Errorf("%d nodes, want %d", len(seen), nodes)
			}
		})
	}
}

// TestChangedWidens has more nodes change than one small page holds, and then more than any.
func TestChangedWidens(t *testing.T) {
	t.Parallel()
	api := ironictest.Start(manyNodes(nodesPage + 1)...)
	defer api.Close()
	c, err := New(t.Context(), Config{Endpoint: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	known := make(map[string]time.Time)
	isKnown := func(n Listed) bool { return known[n.UUID].Equal(n.StateUpdated) }
	look := func(wantAll bool, wantCalls int) []string {
		t.Helper()
		before := api.Calls("nodes")
		nodes, all, err := c.Changed(t.Context(), Scope{}, isKnown)
		if calls := api.Calls("nodes") - before; err != nil || all != wantAll || calls != wantCalls {
			t.Errorf("all %v in %d calls, %v; want %v in %d", all, calls, err, wantAll, wantCalls)
		}
		var changed []string
		for _, n := range nodes {
			if !isKnown(n) {
				changed = append(changed, n.UUID)
			}
		}
		return changed
	}
	look(false, 3) // nothing is known
	for n, err := range c.Nodes(t.Context(), Scope{}) {
		if err != nil {
			t.Fatal(err)
		}
		known[n.UUID] = n.StateUpdated
	}
	if changed := look(true, 1); len(changed) > 0 {
		t.Errorf("%v changed", changed)
	}
	for i := range 30 {
		api.SetProvisionState(fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", 7*i), "deleting")
	}
	if changed := look(true, 2); len(changed) != 30 {
		t.Errorf("%v changed, want 30", changed)
	}
}

// TestScopeOfOldReleases lists the ports of a part of the nodes with releases that cannot filter for it.
func TestScopeOfOldReleases(t *testing.T) {
	t.Parallel()
	for newest, want := range map[int]map[string]string{
		81:  {"ports": "", "portgroups": ""},
		82:  {"ports": "shard", "portgroups": ""},
		99:  {"ports": "shard", "portgroups": ""},
		106: {"ports": "shard", "portgroups": "shard"},
	} {
		for collection, filter := range want {
			if query := (Scope{Shard: "s"}).ports(collection, newest); query.Has("shard") != (filter == "shard") {
				t.Errorf("1.%d: %s asked for with %v", newest, collection, query)
			}
		}
	}
	api := ironictest.Start(manyNodes(3)...)
	defer api.Close()
	api.SetVersions(1, 81)
	c, err := New(t.Context(), Config{Endpoint: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, err := range c.Nodes(t.Context(), Scope{Shard: "rack17"}) {
		var e *Error
		if !errors.As(err, &e) || e.Reason != "too_old" {
			t.Errorf("error %v, want one that says that Ironic is too old", err)
		}
	}
	ports := 0
	for _, err := range c.Ports(t.Context(), Scope{ConductorGroup: "rack17"}) {
		if err != nil {
			t.Fatal(err)
		}
		ports++
	}
	if ports != 3 {
		t.Errorf("%d ports, want all there are", ports)
	}
}
