// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// The first versions that have a conductor group's ports, and a shard's portgroups.
const (
	portGroupMinor      = 99
	portgroupShardMinor = 106
)

// testSite is about the lists from which a site's nodes are known before they boot.
func (c *contract) testSite(t *testing.T) {
	addresses := func(t *testing.T, collection, query string, want ...string) {
		t.Helper()
		wantTexts(t, c.get(t, "/v1/"+collection+"?fields=address&"+query, latest).list(t, collection), "address", want...)
	}
	all := []string{plainMAC, disabledMAC, memberMAC, volumeMAC, enrolledMAC, agentMAC, inspectMAC}
	t.Run("ports of a conductor group", func(t *testing.T) {
		if c.newest < portGroupMinor {
			for _, collection := range []string{"ports", "portgroups"} {
				c.get(t, "/v1/"+collection+"?conductor_groups="+ConductorGroup, latest).refused(t, http.StatusBadRequest, "conductor_groups")
			}
			return
		}
		addresses(t, "ports", "conductor_groups="+ConductorGroup, all...)
		addresses(t, "ports", "conductor_groups=another")
		addresses(t, "portgroups", "conductor_groups="+ConductorGroup, portgroupMAC)
		addresses(t, "portgroups", "conductor_groups=another")
	})
	t.Run("portgroups of a shard", func(t *testing.T) {
		path := "/v1/portgroups?shard=" + evenShard
		if c.newest < portgroupShardMinor {
			c.get(t, path, latest).refused(t, http.StatusBadRequest, "shard")
			return
		}
		c.get(t, path, "1.105").refused(t, http.StatusNotAcceptable, "1.106")
		addresses(t, "portgroups", "shard="+evenShard, portgroupMAC)
		addresses(t, "portgroups", "shard="+oddShard)
	})
	t.Run("the last change first, of a part", func(t *testing.T) {
		const query = "fields=uuid,provision_updated_at&sort_key=provision_updated_at&sort_dir=desc"
		for _, part := range []string{"conductor_group=" + ConductorGroup, "shard=" + evenShard} {
			list := c.get(t, "/v1/nodes?"+query+"&"+part, latest).list(t, "nodes")
			times := texts(list, "provision_updated_at")
			slices.Reverse(times)
			if !slices.IsSorted(times) || len(list) < 2 {
				t.Errorf("%s: %v", part, times)
			}
			first := c.get(t, "/v1/nodes?"+query+"&limit=1&"+part, latest).one(t, "nodes")
			wantValue(t, first, "uuid", list[0]["uuid"])
		}
	})
	t.Run("the last change of anything", func(t *testing.T) {
		// It can be sorted by, and seen beside all other fields, but not asked for.
		c.get(t, "/v1/nodes?fields=uuid,updated_at", latest).refused(t, http.StatusBadRequest, "updated_at")
		list := c.get(t, "/v1/nodes?detail=true&sort_key=updated_at&sort_dir=desc", latest).list(t, "nodes")
		times := texts(list, "updated_at")
		slices.Reverse(times)
		if !slices.IsSorted(times) {
			t.Errorf("%v", times)
		}
	})
	t.Run("volumes of all nodes", func(t *testing.T) {
		for kind, want := range map[string]int{"targets": 2, "connectors": 1} {
			list := c.get(t, "/v1/volume/"+kind+"?fields=uuid,node_uuid", latest).list(t, kind)
			if len(list) != want || list[0]["node_uuid"] != volumeUUID {
				t.Errorf("%s: %v", kind, list)
			}
		}
	})
	t.Run("client", c.testSiteClient)
}

// testSiteClient is package ironic itself: its lists say of each node what it says when it is asked for that one.
func (c *contract) testSiteClient(t *testing.T) {
	client := newClient(t, c.URL, c.Auth)
	for _, tt := range []struct {
		scope     ironic.Scope
		nodes     []string
		addresses []string
	}{
		{ironic.Scope{}, allUUIDs, []string{plainMAC, disabledMAC, memberMAC, portgroupMAC, volumeMAC, enrolledMAC, agentMAC, inspectMAC}},
		{ironic.Scope{ConductorGroup: ConductorGroup}, allUUIDs, []string{plainMAC, disabledMAC, memberMAC, portgroupMAC, volumeMAC, enrolledMAC, agentMAC, inspectMAC}},
		{ironic.Scope{Shard: oddShard}, []string{volumeUUID}, []string{volumeMAC}},
	} {
		t.Run(tt.scope.String(), func(t *testing.T) {
			found := make(map[string]*ipxe.Node)
			var nodes []*ipxe.Node
			for n, err := range client.Nodes(t.Context(), tt.scope) {
				if err != nil {
					t.Fatal(err)
				}
				found[n.UUID], nodes = n.Node, append(nodes, n.Node)
				if n.StateUpdated.IsZero() != (n.UUID == enrolledUUID) {
					t.Errorf("node %s: state since %v", n.UUID, n.StateUpdated)
				}
			}
			if bad, err := client.AddVolumes(t.Context(), nodes); err != nil || len(bad) > 0 {
				t.Fatal(bad, err)
			}
			var addresses []string
			for p, err := range client.Ports(t.Context(), tt.scope) {
				if err != nil {
					t.Fatal(err)
				}
				n := found[p.Node]
				if n == nil {
					continue // of a part that this release cannot leave out
				}
				addresses = append(addresses, p.Address)
				one, err := client.NodeByMAC(t.Context(), p.Address)
				if err != nil {
					t.Fatal(err)
				}
				listed := *n
				listed.Port = p.Port
				wantSame(t, listed, one)
			}
			slices.Sort(addresses)
			slices.Sort(tt.addresses)
			if len(found) != len(tt.nodes) || !slices.Equal(addresses, tt.addresses) {
				t.Errorf("%d nodes, want %d; addresses %v, want %v", len(found), len(tt.nodes), addresses, tt.addresses)
			}
		})
	}
	t.Run("changed", func(t *testing.T) {
		scope := ironic.Scope{ConductorGroup: ConductorGroup}
		nobody := func(ironic.Listed) bool { return false }
		changed, all, err := client.Changed(t.Context(), scope, nobody)
		if err != nil || !all || len(changed) != len(allUUIDs)-1 { // the enrolled one has no time
			t.Fatalf("%d nodes, all %v, %v", len(changed), all, err)
		}
		for i, n := range changed {
			one, err := client.NodeByUUID(t.Context(), n.UUID)
			if err != nil {
				t.Fatal(err)
			}
			one.Volumes, one.Initiator = nil, "" // which are not listed with it
			wantSame(t, n.Node, one)
			if i > 0 && n.StateUpdated.After(changed[i-1].StateUpdated) {
				t.Errorf("%v after %v", n.StateUpdated, changed[i-1].StateUpdated)
			}
		}
	})
	t.Run("an old release and a shard", func(t *testing.T) {
		if c.newest >= 82 {
			return
		}
		_, _, err := client.Changed(t.Context(), ironic.Scope{Shard: oddShard}, func(ironic.Listed) bool { return false })
		wantError(t, err, ironic.ErrBadAnswer, "too_old")
	})
}
