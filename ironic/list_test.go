// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func TestNodesInPages(t *testing.T) {
	t.Parallel()
	var nodes []ironictest.Node
	for i := range 2*nodesPage + 3 {
		group := "rack17"
		if i%2 == 1 {
			group = "rack18"
		}
		nodes = append(nodes, ironictest.Node{UUID: fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i), ProvisionState: "active", ConductorGroup: group})
	}
	api := ironictest.Start(nodes...)
	defer api.Close()
	c, err := New(t.Context(), Config{Endpoint: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for group, want := range map[string]int{"": 2*nodesPage + 3, "rack17": nodesPage + 2, "rack18": nodesPage + 1, "rack19": 0} {
		seen := make(map[string]bool)
		for n, err := range c.Nodes(t.Context(), Scope{ConductorGroup: group}) {
			if err != nil {
				t.Fatal(err)
			}
			seen[n.UUID] = true
		}
		if len(seen) != want {
			t.Errorf("%d nodes in group %q, want %d", len(seen), group, want)
		}
	}
}

func TestNodesWithoutIronic(t *testing.T) {
	t.Parallel()
	api := ironictest.Start()
	api.Close()
	c, err := New(t.Context(), Config{Endpoint: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := 0
	for _, err := range c.Nodes(t.Context(), Scope{}) {
		if n++; !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	}
	if n != 1 {
		t.Errorf("%d errors, want one", n)
	}
}

// TestNodesHaveAssets lists nodes of owners who call their machines something, somewhere.
func TestNodesHaveAssets(t *testing.T) {
	t.Parallel()
	want := make(map[string]string)
	var nodes []ironictest.Node
	for i, c := range []struct {
		properties map[string]any
		asset      string
	}{
		{nil, ""},
		{map[string]any{"asset_tag": "DC2-0815", "serial_number": "CZ1"}, "DC2-0815"},
		{map[string]any{"asset_tag": "", "serial_number": "CZ2"}, "CZ2"},
		{map[string]any{"asset_tag": 815}, ""},
	} {
		uuid := fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i)
		want[uuid] = c.asset
		nodes = append(nodes, ironictest.Node{UUID: uuid, Properties: c.properties})
	}
	api := ironictest.Start(nodes...)
	defer api.Close()
	c, err := New(t.Context(), Config{Endpoint: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n, err := range c.Nodes(t.Context(), Scope{}) {
		if err != nil || n.Asset != want[n.UUID] {
			t.Errorf("%s is %q, %v; want %q", n.UUID, n.Asset, err, want[n.UUID])
		}
		delete(want, n.UUID)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
}
