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
				i := startIronic(t, release, realironic.Options{HTTPBasic: kind == "http_basic"})
				auth := ironic.Auth{Kind: kind}
				if kind == "http_basic" {
					auth.Username, auth.Password = realironic.User, realironic.Password
				}
				run(t, i, ironiccontract.Target{Auth: auth})
			})
		}
	}
}

func startIronic(t *testing.T, release realironic.Release, o realironic.Options) *realironic.Ironic {
	t.Helper()
	o.ConductorGroup = ironiccontract.ConductorGroup
	i, err := realironic.Start(t.Context(), release, t.TempDir(), o)
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
	return i
}

// run completes the target to one that is this Ironic.
func run(t *testing.T, i *realironic.Ironic, target ironiccontract.Target) {
	t.Helper()
	target.URL, target.Images = i.URL, strings.TrimSuffix(i.Stubs.Image(""), "/")
	target.Create = (&operator{url: i.URL, authorize: i.Options.Authorize}).create
	ironiccontract.Run(t, target)
}
