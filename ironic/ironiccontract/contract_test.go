// SPDX-License-Identifier: Apache-2.0

package ironiccontract_test

import (
	"context"
	"testing"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironiccontract"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestStandIn runs the contract against the stand-in, as the newest Ironic and as one that has no inspection of its own.
func TestStandIn(t *testing.T) {
	t.Parallel()
	basic := ironic.Auth{Kind: "http_basic", Username: "edge", Password: "secret"}
	for name, run := range map[string]struct {
		newest int
		auth   ironic.Auth
	}{
		"newest":                 {newest: ironictest.NewestMinor},
		"21.4":                   {newest: 82},
		"newest with http_basic": {newest: ironictest.NewestMinor, auth: basic},
		"21.4 with http_basic":   {newest: 82, auth: basic},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := ironictest.Start()
			t.Cleanup(api.Close)
			api.SetVersions(1, run.newest)
			if run.auth.Kind != "" {
				api.RequireBasic(run.auth.Username, run.auth.Password)
			}
			ironiccontract.Run(t, ironiccontract.Target{URL: api.URL, Auth: run.auth, Images: "http://images.test",
				Create: func(_ context.Context, n ironictest.Node) error { api.SetNode(n); return nil }})
		})
	}
}
