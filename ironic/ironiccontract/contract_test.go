// SPDX-License-Identifier: Apache-2.0

package ironiccontract_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
		"newest with a token":    {newest: ironictest.NewestMinor, auth: withToken(t)},
		"21.4 with a token":      {newest: 82, auth: withToken(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := ironictest.Start()
			t.Cleanup(api.Close)
			api.SetVersions(1, run.newest)
			switch run.auth.Kind {
			case basic.Kind:
				api.RequireBasic(run.auth.Username, run.auth.Password)
			case "cloud":
				api.RequireToken(func(got string) bool { return got == token })
			}
			ironiccontract.Run(t, ironiccontract.Target{URL: api.URL, Auth: run.auth, Token: token, Images: "http://images.test",
				Create: func(_ context.Context, n ironictest.Node) error { api.SetNode(n); return nil }})
		})
	}
}

const token = "a token"

// withToken leads to a Keystone that gives the same token to everybody.
func withToken(t *testing.T) ironic.Auth {
	t.Helper()
	keystone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Subject-Token", token)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"token": {"catalog": []}}`)
	}))
	t.Cleanup(keystone.Close)
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	text := "clouds: {rack: {auth: {auth_url: " + keystone.URL + "/v3, username: edge, password: secret, user_domain_name: Default}}}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: file}
}
