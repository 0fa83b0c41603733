// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

var allUUIDs = []string{plainUUID, bondUUID, volumeUUID, enrolledUUID, agentUUID, inspectUUID}

// texts are the elements' values of a field, in order.
func texts(list []object, field string) []string {
	texts := make([]string, len(list))
	for i, o := range list {
		texts[i], _ = o[field].(string)
	}
	return texts
}

// wantTexts wants values in any order.
func wantTexts(t *testing.T, list []object, field string, want ...string) {
	t.Helper()
	got := texts(list, field)
	want = slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s %v, want %v", field, got, want)
	}
}

func (c *contract) testLists(t *testing.T) {
	t.Run("whole", func(t *testing.T) {
		a := c.get(t, "/v1/nodes", latest)
		wantTexts(t, a.list(t, "nodes"), "uuid", allUUIDs...)
		wantFields(t, a.list(t, "nodes")[0], "uuid,name,instance_uuid,maintenance,power_state,provision_state")
		if _, ok := a.object(t, http.StatusOK)["next"]; ok {
			t.Errorf("a whole list has another page: %s", a.body)
		}
		for _, path := range []string{"/v1/nodes/detail", "/v1/nodes?detail=true"} {
			list := c.get(t, path, latest).list(t, "nodes")
			wantTexts(t, list, "uuid", allUUIDs...)
			child(t, list[0], "driver_info")
		}
	})
	t.Run("pages", func(t *testing.T) {
		for _, order := range []string{"", "&sort_key=name&sort_dir=desc"} {
			want := texts(c.get(t, "/v1/nodes?fields=uuid"+order, latest).list(t, "nodes"), "uuid")
			var got []string
			// A page that is full has a next one, which may be empty.
			for next, pages := "/v1/nodes?fields=uuid&limit=2"+order, 0; next != ""; pages++ {
				a := c.get(t, next, latest)
				list := a.list(t, "nodes")
				got = append(got, texts(list, "uuid")...)
				link, _ := a.object(t, http.StatusOK)["next"].(string)
				if (link != "") != (len(list) == 2) || pages > len(allUUIDs) {
					t.Fatalf("page %d of %d nodes has the next page %q", pages, len(list), link)
				}
				if next = strings.TrimPrefix(link, c.URL); link != "" && next == link {
					t.Fatalf("the next page is elsewhere: %s", link)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages have %v, want %v", got, want)
			}
		}
		list := c.get(t, "/v1/ports?fields=address&limit=1&marker="+c.portUUID(t, plainMAC), latest).list(t, "ports")
		if len(list) != 1 || list[0]["address"] == plainMAC {
			t.Errorf("ports after a marker: %v", list)
		}
	})
	t.Run("the next page keeps no filter", func(t *testing.T) {
		link, _ := c.get(t, "/v1/nodes?fields=uuid&limit=1&sort_key=name&provision_state=wait+call-back", latest).object(t, http.StatusOK)["next"].(string)
		next, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		q := next.Query()
		if q.Get("marker") == "" || q.Get("limit") != "1" || q.Get("fields") != "uuid" || q.Get("sort_key") != "name" || q.Has("provision_state") {
			t.Errorf("next page %s", link)
		}
	})
	t.Run("refusals", func(t *testing.T) {
		for query, about := range map[string]string{"limit=0": "Limit", "limit=-1": "Limit", "limit=x": "limit",
			"sort_key=nonsense": "sort_key", "sort_key=driver_info": "sort_key", "sort_dir=sideways": "sideways", "nonsense=1": "nonsense"} {
			c.get(t, "/v1/nodes?"+query, latest).refused(t, http.StatusBadRequest, about)
		}
		c.get(t, "/v1/nodes?marker="+nobodyUUID, latest).refused(t, http.StatusNotFound, nobodyUUID)
	})
	t.Run("last change first", func(t *testing.T) {
		// Other changes than those of the state are sorted by, too.
		wantTexts(t, c.get(t, "/v1/nodes?sort_key=updated_at&sort_dir=desc", latest).list(t, "nodes"), "uuid", allUUIDs...)
		for _, direction := range []string{"asc", "desc"} {
			list := c.get(t, "/v1/nodes?fields=uuid,provision_updated_at&sort_key=provision_updated_at&sort_dir="+direction, latest).list(t, "nodes")
			got := texts(list, "provision_updated_at") // null is the smallest
			wantTexts(t, list, "uuid", allUUIDs...)
			if direction == "desc" {
				slices.Reverse(got)
			}
			if !slices.IsSorted(got) || got[0] != "" || got[1] == "" {
				t.Errorf("%s: %v, want the enrolled node's null and then times", direction, got)
			}
		}
	})
}

func (c *contract) portUUID(t *testing.T, address string) string {
	t.Helper()
	uuid, _ := c.get(t, "/v1/ports?address="+address, latest).one(t, "ports")["uuid"].(string)
	return uuid
}

func (c *contract) testFilters(t *testing.T) {
	nodes := func(t *testing.T, query, version string, want ...string) {
		t.Helper()
		wantTexts(t, c.get(t, "/v1/nodes?fields=uuid&"+query, version).list(t, "nodes"), "uuid", want...)
	}
	t.Run("conductor group", func(t *testing.T) {
		nodes(t, "conductor_group="+ConductorGroup, "1.46", allUUIDs...)
		nodes(t, "conductor_group="+ConductorGroup, latest, allUUIDs...)
		nodes(t, "conductor_group=another", latest)
		nodes(t, "conductor_group=", latest)
		c.get(t, "/v1/nodes?conductor_group="+ConductorGroup, "1.45").refused(t, http.StatusNotAcceptable, "1.46")
	})
	t.Run("provision state", func(t *testing.T) {
		nodes(t, "provision_state=enroll", latest, enrolledUUID)
		nodes(t, "provision_state=wait+call-back", latest, plainUUID, agentUUID)
		nodes(t, "provision_state=rescue", latest)
	})
	t.Run("shard", func(t *testing.T) {
		for _, v := range []string{"1.82", latest} {
			nodes(t, "shard="+evenShard, v, plainUUID, bondUUID)
			nodes(t, "shard="+evenShard+","+oddShard, v, plainUUID, bondUUID, volumeUUID)
			nodes(t, "shard=another", v)
		}
		wantTexts(t, c.get(t, "/v1/ports?fields=address&shard="+oddShard, "1.82").list(t, "ports"), "address", volumeMAC)
		c.get(t, "/v1/nodes?shard="+evenShard, "1.81").refused(t, http.StatusNotAcceptable, "1.82")
		c.get(t, "/v1/ports?shard="+evenShard, "1.81").refused(t, http.StatusNotAcceptable, "1.82")
	})
	t.Run("all at once", func(t *testing.T) {
		nodes(t, "limit=1&shard="+evenShard+"&conductor_group="+ConductorGroup+"&provision_state=available", latest, bondUUID)
	})
}
