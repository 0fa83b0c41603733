// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"strings"
	"testing"
)

// nodeFields are those that package ironic asks for.
const nodeFields = "uuid,name,driver,provision_state,boot_interface,deploy_interface,inspect_interface,deploy_step," +
	"properties,driver_info,instance_info,driver_internal_info"

func (c *contract) testNode(t *testing.T) {
	path := "/v1/nodes/" + plainUUID
	t.Run("fields", func(t *testing.T) {
		for _, v := range []string{"1.46", latest} { // 1.46 is the oldest that package ironic speaks
			n := c.get(t, path+"?fields="+nodeFields, v).object(t, http.StatusOK)
			wantFields(t, n, nodeFields)
			wantPlain(t, n)
		}
	})
	t.Run("all fields", func(t *testing.T) {
		for _, path := range []string{path, path + "/"} {
			n := c.get(t, path, latest).object(t, http.StatusOK)
			for field := range strings.SplitSeq(nodeFields+",provision_updated_at,conductor_group,extra,maintenance,power_state", ",") {
				if _, ok := n[field]; !ok {
					t.Errorf("%s is missing", field)
				}
			}
			wantPlain(t, n)
			wantValue(t, n, "conductor_group", ConductorGroup)
		}
	})
	t.Run("names", func(t *testing.T) {
		wantValue(t, c.get(t, "/v1/nodes/contract-plain?fields=uuid", "1.8").object(t, http.StatusOK), "uuid", plainUUID)
		c.get(t, "/v1/nodes/contract-plain", "1.4").refused(t, http.StatusNotFound, "contract-plain")
		c.get(t, "/v1/nodes/contract-nobody", latest).refused(t, http.StatusNotFound, "contract-nobody")
	})
	t.Run("unknown", func(t *testing.T) {
		c.get(t, "/v1/nodes/"+nobodyUUID, latest).refused(t, http.StatusNotFound, "Node "+nobodyUUID+" could not be found")
		c.get(t, "/v1/nodes/"+nobodyUUID+"?fields="+nodeFields, "1.46").refused(t, http.StatusNotFound, nobodyUUID)
		// A UUID is compared as text. Databases that ignore case exist; a client has to use lower case.
		upper := strings.ToUpper(plainUUID)
		c.get(t, "/v1/nodes/"+upper, latest).refused(t, http.StatusNotFound, upper)
	})
	t.Run("unknown fields", func(t *testing.T) {
		c.get(t, path+"?fields=uuid,nonsense", latest).refused(t, http.StatusBadRequest, "nonsense")
		c.get(t, path+"?fields=shard", "1.81").refused(t, http.StatusNotAcceptable, "not acceptable")
		c.get(t, path+"?fields=uuid", "1.7").refused(t, http.StatusNotAcceptable, "not acceptable")
		c.get(t, path+"?nonsense=1", latest).refused(t, http.StatusBadRequest, "nonsense")
	})
	t.Run("an old version shows less", func(t *testing.T) {
		n := c.get(t, path, noVersion).object(t, http.StatusOK)
		for _, field := range []string{"name", "driver_internal_info", "boot_interface", "deploy_step", "conductor_group", "shard"} {
			if value, ok := n[field]; ok {
				t.Errorf("version 1.1 shows %s: %v", field, value)
			}
		}
	})
}

func wantPlain(t *testing.T, n object) {
	t.Helper()
	for field, want := range map[string]any{"uuid": plainUUID, "name": "contract-plain", "driver": "fake-hardware",
		"provision_state": "wait call-back", "boot_interface": "ipxe", "deploy_interface": "direct"} {
		wantValue(t, n, field, want)
	}
	if s, ok := n["inspect_interface"].(string); !ok || s == "" {
		t.Errorf("inspect_interface %v", n["inspect_interface"])
	}
	child(t, n, "deploy_step") // {} outside of deployments
	wantValue(t, child(t, n, "properties"), "cpu_arch", "x86_64")
	wantValue(t, child(t, n, "driver_info"), "kernel_append_params", "nofb console=ttyS0")
	wantValue(t, child(t, n, "instance_info"), "root_gb", 10)
	wantValue(t, child(t, n, "driver_internal_info"), "is_whole_disk_image", true)
}

// testSecrets looks for what nobody gets to see (ironic/api/controllers/v1/node.py: node_sanitize, volume_target.py:
// target_sanitize).
func (c *contract) testSecrets(t *testing.T) {
	for _, path := range []string{"/v1/nodes/" + enrolledUUID, "/v1/nodes/" + enrolledUUID + "?fields=driver_info,instance_info"} {
		a := c.get(t, path, latest)
		n := a.object(t, http.StatusOK)
		if strings.Contains(a.body, secret) {
			t.Errorf("%s shows a secret: %s", a.asked, a.body)
		}
		driver := child(t, n, "driver_info")
		wantValue(t, driver, "ipmi_username", "root")
		wantValue(t, driver, "ipmi_password", mask)
		wantValue(t, driver, "auth_token", mask)
		wantValue(t, driver, "note", "password="+mask+" is its password")
		wantValue(t, child(t, driver, "nested"), "password", mask)
		wantValue(t, child(t, driver, "nested"), "address", "192.0.2.9")
		instance := child(t, n, "instance_info")
		wantValue(t, instance, "configdrive", mask)
		wantValue(t, instance, "image_url", mask)
		wantValue(t, instance, "display_name", "enrolled")
	}
	for _, path := range []string{"/v1/nodes/detail", "/v1/volume/targets?detail=true"} {
		if a := c.get(t, path, latest); a.status != http.StatusOK || strings.Contains(a.body, secret) {
			t.Errorf("%s: status %d shows a secret: %s", a.asked, a.status, a.body)
		}
	}
}
