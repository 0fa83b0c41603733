// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"testing"
)

// testVersions is what a client learns the range of versions from, and what becomes of those outside of it
// (ironic/api/controllers/v1/__init__.py: add_version_attributes, _check_version).
func (c *contract) testVersions(t *testing.T) {
	t.Run("root document", func(t *testing.T) {
		root := c.get(t, "/", noVersion).object(t, http.StatusOK)
		v1 := child(t, root, "default_version")
		wantValue(t, v1, "id", "v1")
		wantValue(t, v1, "min_version", "1.1")
		wantValue(t, v1, "version", version(c.newest))
	})
	t.Run("v1 document", func(t *testing.T) {
		for _, path := range []string{"/v1", "/v1/"} {
			v1 := c.get(t, path, noVersion).object(t, http.StatusOK)
			wantValue(t, v1, "id", "v1")
			wantValue(t, child(t, v1, "version"), "min_version", "1.1")
			wantValue(t, child(t, v1, "version"), "version", version(c.newest))
		}
	})
	t.Run("headers", func(t *testing.T) {
		for asked, want := range map[string]string{noVersion: "1.1", latest: version(c.newest), "LATEST": version(c.newest), "1.46": "1.46",
			version(c.newest): version(c.newest)} {
			for _, path := range []string{"/v1/", "/v1/nodes"} {
				c.wantVersions(t, c.get(t, path, asked), want)
			}
		}
	})
	t.Run("both headers", func(t *testing.T) {
		// gophercloud sends the general one, too, which older releases do not know.
		r := c.request(t, http.MethodGet, "/v1/", nil)
		r.Header.Set("OpenStack-API-Version", "baremetal 1.50")
		r.Header.Set(headerVersion, "1.50")
		c.wantVersions(t, send(t, r), "1.50")
	})
	t.Run("refusals name the range", func(t *testing.T) {
		for _, asked := range []string{version(c.newest + 1), "1.999", "2.1", "1.0"} {
			a := c.get(t, "/v1/nodes", asked)
			a.aborted(t, http.StatusNotAcceptable)
			c.wantVersions(t, a, "")
		}
	})
	t.Run("no version at all", func(t *testing.T) {
		for _, asked := range []string{"new", "1", "1.2.3"} {
			a := c.get(t, "/v1/nodes", asked)
			a.aborted(t, http.StatusNotAcceptable)
			if got := a.header.Get(headerMaxVersion); got != "" {
				t.Errorf("%s in version %s: names the range up to %s", a.asked, asked, got)
			}
		}
	})
}

func (c *contract) wantVersions(t *testing.T, a answer, want string) {
	t.Helper()
	for name, want := range map[string]string{headerMinVersion: "1.1", headerMaxVersion: version(c.newest), headerVersion: want} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %s: %q, want %q", a.asked, name, got, want)
		}
	}
}
