// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

const password = "correct horse"

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	api := ironictest.Start(node1())
	t.Cleanup(api.Close)
	api.RequireBasic("edge", password)
	c := newClient(t, ironic.Config{Endpoint: api.URL, Auth: ironic.Auth{Kind: "http_basic", Username: "edge", Password: password}})
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Error(err)
	}
	api.RequireBasic("edge", "another")
	_, err := c.NodeByMAC(t.Context(), mac1)
	wantError(t, err, ironic.ErrUnavailable, "unauthorized")
	wantNoSecret(t, err)
}

func wantNoSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), password) {
		t.Errorf("the error holds the password: %v", err)
	}
}

// withKeystone starts both services and writes a clouds.yaml that leads to them.
func withKeystone(t *testing.T, entry string) (*ironictest.Server, *keystone, ironic.Auth) {
	t.Helper()
	api := ironictest.Start(node1())
	t.Cleanup(api.Close)
	k := startKeystone(t, api.URL)
	api.RequireToken(k.valid)
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	text := "clouds:\n  rack:\n    auth:\n      auth_url: " + k.server.URL + "/v3\n" + entry
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return api, k, ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: file}
}

const (
	passwordEntry = "      username: edge\n      password: " + password + "\n      project_name: service\n" +
		"      user_domain_name: Default\n      project_domain_name: Default\n    region_name: here\n"
	credentialEntry = "      application_credential_id: credential\n      application_credential_secret: " + password +
		"\n    auth_type: v3applicationcredential\n"
)

func TestKeystone(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]string{"password": passwordEntry, "application credential": credentialEntry} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, k, auth := withKeystone(t, entry)
			c := newClient(t, ironic.Config{Auth: auth}) // the catalog says where Ironic is
			for range 3 {
				if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
					t.Fatal(err)
				}
			}
			if n := k.logins(); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
			k.expire()
			if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
				t.Errorf("with an expired token: %v", err)
			}
			if n := k.logins(); n != 2 {
				t.Errorf("%d logins after the token's end, want 2", n)
			}
			if n := api.Calls("v1"); n != 2 {
				t.Errorf("%d negotiations, want one with each login", n)
			}
		})
	}
}

// TestTokenExpiresUnderLoad lets many calls find the token expired at once.
func TestTokenExpiresUnderLoad(t *testing.T) {
	t.Parallel()
	_, k, auth := withKeystone(t, passwordEntry)
	c := newClient(t, ironic.Config{Auth: auth})
	for range 3 {
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		k.expire()
	}
	if n := k.logins(); n > 3 {
		t.Errorf("%d logins, want one for each token's life", n)
	}
}

func TestConfiguredEndpointWins(t *testing.T) {
	t.Parallel()
	api, k, auth := withKeystone(t, passwordEntry)
	k.endpoint = "http://127.0.0.1:1"
	c := newClient(t, ironic.Config{Endpoint: api.URL, Auth: auth})
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Error(err)
	}
}

func TestKeystoneFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		entry  string
		status int // that Keystone answers everything with
		gone   bool
		kind   error
		reason string
	}{
		"wrong password":     {strings.Replace(passwordEntry, password, password+"!", 1), 0, false, ironic.ErrUnavailable, "unauthorized"},
		"wrong region":       {strings.Replace(passwordEntry, "here", "there", 1), 0, false, ironic.ErrUnavailable, "no_endpoint"},
		"removed credential": {strings.Replace(credentialEntry, "_id: credential", "_id: removed", 1), 0, false, ironic.ErrUnavailable, "unauthorized"},
		"wrong path":         {passwordEntry, 404, false, ironic.ErrBadAnswer, "http_404"},
		"broken":             {passwordEntry, 500, false, ironic.ErrUnavailable, "http_500"},
		"not Keystone":       {passwordEntry, 201, false, ironic.ErrBadAnswer, "bad_json"},
		"gone":               {passwordEntry, 0, true, ironic.ErrUnavailable, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, k, auth := withKeystone(t, tt.entry)
			k.fail(tt.status)
			if tt.gone {
				k.server.Close()
			}
			c := newClient(t, ironic.Config{Auth: auth})
			_, err := c.NodeByMAC(t.Context(), mac1)
			wantError(t, err, tt.kind, tt.reason)
			wantNoSecret(t, err)
		})
	}
}

// TestKeystoneFailsLater takes Keystone away after the login: the session lasts as long as its token.
func TestKeystoneFailsLater(t *testing.T) {
	t.Parallel()
	_, k, auth := withKeystone(t, passwordEntry)
	c := newClient(t, ironic.Config{Auth: auth})
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Fatal(err)
	}
	k.fail(http.StatusServiceUnavailable)
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Errorf("while the token is good: %v", err)
	}
	k.expire()
	_, err := c.NodeByMAC(t.Context(), mac1)
	wantError(t, err, ironic.ErrUnavailable, "http_503")
	k.fail(0)
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Errorf("with Keystone back: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	noPassword := file("password.yaml", "clouds:\n  rack:\n    auth: {auth_url: 'http://keystone:5000', username: edge, user_domain_name: Default}\n")
	noScheme := file("scheme.yaml", "clouds:\n  rack:\n    auth: {auth_url: 'keystone:5000', username: edge, password: "+password+", user_domain_name: Default}\n")
	clouds := file("clouds.yaml", "clouds:\n  rack:\n    auth: {username: edge}\n")
	strange := file("strange.yaml", "clouds:\n  rack:\n    auth: "+password+"\n")
	empty := file("empty.pem", "")
	const url = "http://ironic:6385"
	for name, tt := range map[string]struct {
		cfg  ironic.Config
		says string
	}{
		"no endpoint":                {ironic.Config{}, "no URL"},
		"no scheme":                  {ironic.Config{Endpoint: "ironic:6385"}, "not http://host"},
		"no host":                    {ironic.Config{Endpoint: "http://:6385"}, "not http://host"},
		"user in the endpoint":       {ironic.Config{Endpoint: "http://edge:" + "correct%20horse" + "@ironic"}, "http_basic"},
		"not a URL":                  {ironic.Config{Endpoint: "http://" + password + "\x7f"}, "cannot be read"},
		"query":                      {ironic.Config{Endpoint: url + "/?a=b"}, "query"},
		"kind":                       {ironic.Config{Endpoint: url, Auth: ironic.Auth{Kind: "kerberos"}}, "kerberos"},
		"no password":                {ironic.Config{Endpoint: url, Auth: ironic.Auth{Kind: "http_basic", Username: "edge"}}, "password"},
		"no cloud":                   {ironic.Config{Auth: ironic.Auth{Kind: "cloud", CloudsFile: clouds}}, "no entry"},
		"unknown cloud":              {ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "moon", CloudsFile: clouds}}, "moon"},
		"no auth_url":                {ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: clouds}}, "auth_url"},
		"no password in clouds.yaml": {ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: noPassword}}, "password"},
		"no scheme in auth_url":      {ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: noScheme}}, "auth_url"},
		"no clouds.yaml":             {ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: dir + "/none"}}, "no such file"},
		"strange clouds.yaml":        {ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: strange}}, "cannot unmarshal"},
		"no CA file":                 {ironic.Config{Endpoint: url, CAFile: dir + "/none"}, "no such file"},
		"empty CA file":              {ironic.Config{Endpoint: url, CAFile: empty}, "no PEM certificate"},
		"half a pair":                {ironic.Config{Endpoint: url, ClientCert: empty}, "without the other"},
		"no pair":                    {ironic.Config{Endpoint: url, ClientCert: empty, ClientKey: empty}, "with its key"},
		"negative timeout":           {ironic.Config{Endpoint: url, Timeout: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ironic.New(t.Context(), tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			wantNoSecret(t, err)
			if err != nil && (strings.Contains(err.Error(), "correct") || strings.Contains(err.Error(), "horse")) {
				t.Errorf("the error holds a part of the password: %v", err)
			}
		})
	}
}
