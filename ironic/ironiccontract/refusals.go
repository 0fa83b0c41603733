// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"net/http"
	"testing"
)

// testRefusals is about what the API does not have. Its 404 has Ironic's document, as that of an unknown node, and other
// fields in it.
func (c *contract) testRefusals(t *testing.T) {
	for _, path := range []string{"/v1/nonsense", "/nonsense", "/v2"} {
		c.get(t, path, latest).aborted(t, http.StatusNotFound)
	}
	c.do(t, http.MethodPut, "/v1/lookup", latest, nil).aborted(t, http.StatusMethodNotAllowed)
	c.get(t, "/v1/heartbeat/"+plainUUID, latest).aborted(t, http.StatusMethodNotAllowed)
	if a := c.do(t, http.MethodHead, "/v1/nodes", latest, nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("%s: status %d", a.asked, a.status)
	}
	t.Run("without v1", func(t *testing.T) {
		wantTexts(t, c.get(t, "/nodes?fields=uuid", latest).list(t, "nodes"), "uuid", allUUIDs...)
	})
}
