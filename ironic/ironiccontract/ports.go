// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"strings"
	"testing"
)

const (
	portFields      = "address,node_uuid,pxe_enabled"
	portgroupFields = "address,node_uuid"
)

func (c *contract) testPorts(t *testing.T) {
	t.Run("by address", func(t *testing.T) {
		for _, address := range []string{plainMAC, strings.ToUpper(plainMAC)} {
			for _, v := range []string{"1.46", latest} {
				p := c.get(t, "/v1/ports?address="+address+"&fields="+portFields, v).one(t, "ports")
				wantFields(t, p, portFields)
				wantValue(t, p, "address", plainMAC)
				wantValue(t, p, "node_uuid", plainUUID)
				wantValue(t, p, "pxe_enabled", true)
			}
		}
		p := c.get(t, "/v1/ports?address="+disabledMAC+"&fields="+portFields, latest).one(t, "ports")
		wantValue(t, p, "pxe_enabled", false)
	})
	t.Run("none", func(t *testing.T) {
		// The address of a portgroup is no port's.
		for _, address := range []string{nobodyMAC, portgroupMAC} {
			if list := c.get(t, "/v1/ports?address="+address+"&fields="+portFields, latest).list(t, "ports"); len(list) != 0 {
				t.Errorf("ports with address %s: %v", address, list)
			}
		}
	})
	t.Run("what is no address", func(t *testing.T) {
		for _, address := range []string{strings.ReplaceAll(plainMAC, ":", "-"), "52540", ""} {
			c.get(t, "/v1/ports?address="+address, latest).refused(t, http.StatusBadRequest, "address")
		}
	})
	t.Run("fields", func(t *testing.T) {
		byAddress := "/v1/ports?address=" + plainMAC
		wantFields(t, c.get(t, byAddress, latest).one(t, "ports"), "uuid,address")
		for _, path := range []string{byAddress + "&detail=true", "/v1/ports/detail?address=" + plainMAC} {
			p := c.get(t, path, latest).one(t, "ports")
			wantValue(t, p, "node_uuid", plainUUID)
			wantValue(t, p, "pxe_enabled", true)
			wantValue(t, p, "portgroup_uuid", nil)
			wantValue(t, p, "extra", object{})
		}
		c.get(t, byAddress+"&fields=address,nonsense", latest).refused(t, http.StatusBadRequest, "nonsense")
		c.get(t, byAddress+"&fields=address&detail=true", latest).refused(t, http.StatusBadRequest, "detail")
		c.get(t, byAddress+"&fields=pxe_enabled", "1.18").refused(t, http.StatusNotAcceptable, "not acceptable")
	})
	t.Run("of a node", func(t *testing.T) {
		for _, path := range []string{"/v1/ports?node=" + plainUUID + "&", "/v1/ports?node=contract-plain&", "/v1/nodes/" + plainUUID + "/ports?"} {
			wantTexts(t, c.get(t, path+"fields=address", latest).list(t, "ports"), "address", plainMAC, disabledMAC)
		}
		p := c.get(t, "/v1/ports?node="+bondUUID+"&fields=address,portgroup_uuid", latest).one(t, "ports")
		wantValue(t, p, "portgroup_uuid", portgroupUUID)
		c.get(t, "/v1/ports?node="+nobodyUUID, latest).refused(t, http.StatusNotFound, nobodyUUID)
	})
}

func (c *contract) testPortgroups(t *testing.T) {
	t.Run("by address", func(t *testing.T) {
		// Upper case is found by older releases only (portgroup.py: the schema does not normalize it, args.mac_address did).
		for _, v := range []string{"1.46", latest} {
			g := c.get(t, "/v1/portgroups?address="+portgroupMAC+"&fields="+portgroupFields, v).one(t, "portgroups")
			wantFields(t, g, portgroupFields)
			wantValue(t, g, "address", portgroupMAC)
			wantValue(t, g, "node_uuid", bondUUID)
		}
	})
	t.Run("none", func(t *testing.T) {
		for _, address := range []string{nobodyMAC, memberMAC} {
			if list := c.get(t, "/v1/portgroups?address="+address, latest).list(t, "portgroups"); len(list) != 0 {
				t.Errorf("portgroups with address %s: %v", address, list)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		c.get(t, "/v1/portgroups?address=52-54-00-c0-a7-b2", latest).refused(t, http.StatusBadRequest, "52-54-00-c0-a7-b2")
		c.get(t, "/v1/portgroups?fields=nonsense", latest).refused(t, http.StatusBadRequest, "nonsense")
		c.get(t, "/v1/portgroups?address="+portgroupMAC, "1.22").refused(t, http.StatusNotFound, "")
	})
	t.Run("fields", func(t *testing.T) {
		wantFields(t, c.get(t, "/v1/portgroups?address="+portgroupMAC, latest).one(t, "portgroups"), "uuid,name,address")
		g := c.get(t, "/v1/portgroups/detail?address="+portgroupMAC, latest).one(t, "portgroups")
		wantValue(t, g, "uuid", portgroupUUID)
		wantValue(t, g, "name", "contract-bond0")
		wantValue(t, g, "node_uuid", bondUUID)
	})
}
