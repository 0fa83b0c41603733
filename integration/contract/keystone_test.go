// SPDX-License-Identifier: Apache-2.0

//go:build integration

package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
	"github.com/ironic-edge/ironic-edge/integration/realkeystone"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironiccontract"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestRealKeystone runs the contract with tokens, each way to get one, and then what a Keystone can do to a client.
func TestRealKeystone(t *testing.T) {
	t.Parallel()
	for _, release := range []realironic.Release{realironic.Release21, realironic.Release39} {
		for _, by := range []identity{byPassword, byCredential} {
			t.Run(string(release)+" "+by.name, func(t *testing.T) {
				t.Parallel()
				c := startCloud(t, release, by)
				t.Run("contract", c.testContract)
				t.Run("catalogue", c.testCatalogue)
				t.Run("refused", c.testRefused)
				t.Run("rights", c.testRights)
				t.Run("revoked", c.testRevoked)
				t.Run("outage", c.testOutage)
				t.Run("withdrawn", c.testWithdrawn)
			})
		}
	}
}

// identity is a way to log in.
type identity struct {
	name string
	// entry makes the auth section of clouds.yaml and a token of the same rights.
	entry func(t *testing.T, k *realkeystone.Keystone) (auth []string, token string)
	// secret is what is secret in such a section.
	secret string
	// withdraw makes Keystone refuse what the section says, and end its tokens.
	withdraw func(ctx context.Context, k *realkeystone.Keystone, auth []string) error
}

var (
	byPassword = identity{"password", func(t *testing.T, k *realkeystone.Keystone) ([]string, string) {
		token, err := k.SystemToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return []string{"auth_url: " + k.URL + "/v3", "username: " + realkeystone.User, "password: " + realkeystone.Password,
			"user_domain_name: " + realkeystone.Domain, "system_scope: all"}, token
	}, "password: ", func(ctx context.Context, k *realkeystone.Keystone, _ []string) error {
		return k.SetPassword(ctx, "another")
	}}
	byCredential = identity{"application credential", func(t *testing.T, k *realkeystone.Keystone) ([]string, string) {
		id, secret, err := k.AddCredential(t.Context(), t.Name(), "service")
		if err != nil {
			t.Fatal(err)
		}
		token, err := k.CredentialToken(t.Context(), id, secret)
		if err != nil {
			t.Fatal(err)
		}
		// Without a version, as some installers write it.
		return []string{"auth_url: " + k.URL, "application_credential_id: " + id, "application_credential_secret: " + secret}, token
	}, "application_credential_secret: ", func(ctx context.Context, k *realkeystone.Keystone, auth []string) error {
		return k.RemoveCredential(ctx, strings.TrimPrefix(auth[1], "application_credential_id: "))
	}}
)

// cloud is an Ironic with its Keystone.
type cloud struct {
	ironic   *realironic.Ironic
	keystone *realkeystone.Keystone
	identity identity
	auth     []string // lines of clouds.yaml
	token    string
}

func startCloud(t *testing.T, release realironic.Release, by identity) *cloud {
	t.Helper()
	k, err := realkeystone.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.LogTail())
		}
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cloud{keystone: k, identity: by, ironic: startIronic(t, release, realironic.Options{Keystone: &realironic.Keystone{
		URL: k.URL, User: realkeystone.IronicUser, Password: realkeystone.IronicPassword, AdminToken: k.AdminToken()}})}
	c.auth, c.token = by.entry(t, k)
	return c
}

// entry writes a clouds.yaml with one entry: the lines of its auth section, and others.
func entry(t *testing.T, auth []string, others ...string) ironic.Auth {
	t.Helper()
	text := "clouds:\n  rack:\n    auth:\n"
	for _, line := range auth {
		text += "      " + line + "\n"
		if strings.HasPrefix(line, "application_credential_id") {
			others = append(others, "auth_type: v3applicationcredential")
		}
	}
	for _, line := range others {
		text += "    " + line + "\n"
	}
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: file}
}

func (c *cloud) testContract(t *testing.T) {
	run(t, c.ironic, ironiccontract.Target{Auth: entry(t, c.auth), Token: c.token})
}

// traffic is what a client sends.
type traffic struct {
	next http.RoundTripper

	mu     sync.Mutex
	logins int    // requests for a token
	token  string // that the last request had
}

func (w *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	if strings.HasSuffix(r.URL.Path, "/auth/tokens") {
		w.logins++
	} else if token := r.Header.Get("X-Auth-Token"); token != "" {
		w.token = token
	}
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

func (w *traffic) seen() (logins int, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logins, w.token
}

func (c *cloud) client(t *testing.T, endpoint string, auth ironic.Auth) (*ironic.Client, *traffic) {
	t.Helper()
	w := &traffic{}
	client, err := ironic.New(t.Context(), ironic.Config{Endpoint: endpoint, Auth: auth, Timeout: time.Minute, // many share a slow machine
		Wrap: func(next http.RoundTripper) http.RoundTripper { w.next = next; return w }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client, w
}

const (
	nodeUUID = "0c0a7e57-0000-4000-8000-0000000000cc"
	nodeMAC  = "52:54:00:c0:a7:cc"
)

// node makes the node that ask asks for, once.
func (c *cloud) node(ctx context.Context) error {
	op := &operator{url: c.ironic.URL, authorize: c.ironic.Options.Authorize}
	return op.create(ctx, ironictest.Node{UUID: nodeUUID, Name: "keystone", Driver: "fake-hardware", ProvisionState: "enroll", Properties: object{}, DriverInfo: object{},
		ConductorGroup: ironiccontract.ConductorGroup, Ports: []ironictest.Port{{Address: nodeMAC}}})
}

func ask(ctx context.Context, client *ironic.Client) error {
	n, err := client.NodeByMAC(ctx, nodeMAC)
	if err == nil && n.UUID != nodeUUID {
		err = fmt.Errorf("node %s", n.UUID)
	}
	return err
}

// askMany asks n times at once.
func askMany(ctx context.Context, client *ironic.Client, n int) error {
	errs := make([]error, n)
	var asking sync.WaitGroup
	for i := range errs {
		asking.Go(func() { errs[i] = ask(ctx, client) })
	}
	asking.Wait()
	return errors.Join(errs...)
}

func wantError(t *testing.T, err, kind error, reason string) {
	t.Helper()
	var e *ironic.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("error %v, want %v (%s)", err, kind, reason)
	}
}
