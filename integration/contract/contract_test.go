// SPDX-License-Identifier: Apache-2.0

//go:build integration

package contract

import (
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironiccontract"
)

// TestRealIronic runs the contract against the releases. What fails here is a fault of the contract, and then of the
// stand-in or the client that was written by it.
func TestRealIronic(t *testing.T) {
	t.Parallel()
	for _, release := range []realironic.Release{realironic.Release21, realironic.Release39} {
		for _, kind := range []string{"none", "http_basic"} {
			t.Run(string(release)+" "+kind, func(t *testing.T) {
				t.Parallel()
				run(t, release, kind)
			})
		}
	}
}

func run(t *testing.T, release realironic.Release, kind string) {
	i, err := realironic.Start(t.Context(), release, t.TempDir(), realironic.Options{HTTPBasic: kind == "http_basic",
		ConductorGroup: ironiccontract.ConductorGroup})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(i.LogTail())
		}
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	op := &operator{url: i.URL}
	auth := ironic.Auth{Kind: kind}
	if kind == "http_basic" {
		auth.Username, auth.Password = realironic.User, realironic.Password
		op.user, op.password = auth.Username, auth.Password
	}
	ironiccontract.Run(t, ironiccontract.Target{URL: i.URL, Auth: auth, Images: strings.TrimSuffix(i.Stubs.Image(""), "/"), Create: op.create})
}
