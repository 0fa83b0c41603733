// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"testing"
)

const (
	targetFields    = "uuid,volume_type,boot_index,properties"
	connectorFields = "uuid,type,connector_id"
)

func (c *contract) testVolumes(t *testing.T) {
	wantTargets := func(t *testing.T, list []object) {
		t.Helper()
		if len(list) != 2 {
			t.Fatalf("%d targets", len(list))
		}
		for i, uuid := range []string{target0UUID, target1UUID} { // in the order of their creation
			wantValue(t, list[i], "uuid", uuid)
			wantValue(t, list[i], "volume_type", "iscsi")
			wantValue(t, list[i], "boot_index", i)
			wantValue(t, list[i], "properties", object{"target_iqn": "iqn.2026-01.test.contract:target", "target_lun": i,
				"target_portal": "192.0.2.7:3260", "auth_method": "CHAP", "auth_username": "alice", "auth_password": mask})
		}
	}
	t.Run("targets", func(t *testing.T) {
		for _, v := range []string{"1.46", latest} {
			list := c.get(t, "/v1/volume/targets?node="+volumeUUID+"&fields="+targetFields, v).list(t, "targets")
			wantTargets(t, list)
			wantFields(t, list[0], targetFields)
		}
		list := c.get(t, "/v1/volume/targets?node="+volumeUUID+"&detail=true", latest).list(t, "targets")
		wantTargets(t, list)
		wantValue(t, list[1], "volume_id", "contract-1")
		wantValue(t, list[1], "node_uuid", volumeUUID)
		list = c.get(t, "/v1/volume/targets?node=contract-volume", latest).list(t, "targets")
		if len(list) != 2 {
			t.Fatalf("%d targets by name", len(list))
		}
		wantFields(t, list[0], "uuid,node_uuid,volume_type,boot_index,volume_id")
	})
	t.Run("connectors", func(t *testing.T) {
		path := "/v1/volume/connectors?node=" + volumeUUID
		for _, v := range []string{"1.46", latest} {
			o := c.get(t, path+"&fields="+connectorFields, v).one(t, "connectors")
			wantFields(t, o, connectorFields)
			wantValue(t, o, "type", "iqn")
			wantValue(t, o, "connector_id", initiatorIQN)
		}
		wantFields(t, c.get(t, path, latest).one(t, "connectors"), "uuid,node_uuid,type,connector_id")
		wantValue(t, c.get(t, path+"&detail=true", latest).one(t, "connectors"), "node_uuid", volumeUUID)
	})
	for _, kind := range []string{"targets", "connectors"} {
		t.Run("no "+kind, func(t *testing.T) {
			path := "/v1/volume/" + kind
			if found := c.get(t, path+"?node="+plainUUID, latest).list(t, kind); len(found) != 0 {
				t.Errorf("found %v", found)
			}
			c.get(t, path+"?node="+nobodyUUID, latest).refused(t, http.StatusNotFound, nobodyUUID)
			c.get(t, path+"?fields=nonsense", latest).refused(t, http.StatusBadRequest, "nonsense")
			c.get(t, path+"?fields=uuid&detail=true", latest).refused(t, http.StatusBadRequest, "'detail'")
			c.get(t, path+"?nonsense=1", latest).refused(t, http.StatusBadRequest, "nonsense")
			c.get(t, path, "1.31").aborted(t, http.StatusNotFound)
		})
	}
}
