// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func TestNegotiation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		oldest, newest int
		asked          string // version of the first call; empty when there is none
		reason         string
		says           string
	}{
		"Ironic 11.1, the oldest": {1, 46, "1.46", "", ""},
		"Ironic 21.4":             {1, 82, "1.82", "", ""},
		"the newest known":        {1, 115, "1.115", "", ""},
		"a later one":             {1, 300, "1.115", "", ""},
		"Ironic 11.0":             {1, 43, "", "too_old", "up to 1.43, and ironic-edge needs 1.46"},
		"one that has moved on":   {116, 300, "", "too_new", "from 1.116, and ironic-edge up to 1.115"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, c := start(t, node1())
			api.SetVersions(tt.oldest, tt.newest)
			_, err := c.NodeByUUID(t.Context(), uuid1)
			if tt.reason != "" {
				wantError(t, err, ironic.ErrBadAnswer, tt.reason)
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%q does not say %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := api.Requests()[1].Version; got != tt.asked {
				t.Errorf("asked in version %s, want %s", got, tt.asked)
			}
		})
	}
}

// TestIronicChangesItsVersion is a rolling upgrade with pinned versions, or its rollback: the version of the session is
// suddenly refused.
func TestIronicChangesItsVersion(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	for _, newest := range []int{115, 82, 95} {
		api.SetVersions(1, newest)
		if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
			t.Fatalf("up to 1.%d: %v", newest, err)
		}
	}
	if got := api.Calls("v1"); got != 2 {
		t.Errorf("%d negotiations, want the first and one after the refusal", got)
	}
	api.SetVersions(1, 40)
	_, err := c.NodeByMAC(t.Context(), mac1)
	wantError(t, err, ironic.ErrBadAnswer, "too_old")
}

func TestSomethingElseThanIronic(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"no versions":    {},
		"strange ones":   {"X-Openstack-Ironic-Api-Minimum-Version": {"2.1"}, "X-Openstack-Ironic-Api-Maximum-Version": {"2.9"}},
		"no numbers":     {"X-Openstack-Ironic-Api-Minimum-Version": {"1.1"}, "X-Openstack-Ironic-Api-Maximum-Version": {"1.x"}},
		"large numbers":  {"X-Openstack-Ironic-Api-Minimum-Version": {"1.1"}, "X-Openstack-Ironic-Api-Maximum-Version": {"1.99999999999"}},
		"half of a pair": {"X-Openstack-Ironic-Api-Maximum-Version": {"1.99"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, c := start(t)
			api.Inject(ironictest.Fault{Status: 200, Header: header, Body: "<html>Welcome!"})
			_, err := c.NodeByUUID(t.Context(), uuid1)
			wantError(t, err, ironic.ErrBadAnswer, "not_ironic")
		})
	}
}

// TestWrongPathOfIronic is an endpoint with a path that Ironic does not have. Its 404 for that has the same form as the one
// for a node.
func TestWrongPathOfIronic(t *testing.T) {
	t.Parallel()
	api := ironictest.Start(node1())
	t.Cleanup(api.Close)
	_, err := newClient(t, ironic.Config{Endpoint: api.URL + "/baremetal"}).NodeByMAC(t.Context(), mac1)
	wantError(t, err, ironic.ErrBadAnswer, "not_ironic")
}
