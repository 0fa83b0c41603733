// SPDX-License-Identifier: Apache-2.0

//go:build integration

package contract

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
	"github.com/ironic-edge/ironic-edge/integration/realkeystone"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// testCatalogue is about which of Ironic's endpoints is asked. Each has a proxy of its own before the one Ironic.
func (c *cloud) testCatalogue(t *testing.T) {
	if err := c.node(t.Context()); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(c.ironic.URL)
	if err != nil {
		t.Fatal(err)
	}
	fronts := map[string]*atomic.Int32{}
	front := func(name string) string {
		asked := new(atomic.Int32)
		fronts[name] = asked
		proxy := httputil.NewSingleHostReverseProxy(target)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for _, e := range [][2]string{{"here", "public"}, {"here", "internal"}, {"here", "admin"}, {"there", "public"}} {
		// An operator may write the version into the catalogue or not.
		suffix := map[string]string{"internal": "/v1", "admin": "/v1/"}[e[1]]
		if err := c.keystone.AddEndpoint(t.Context(), e[0], e[1], front(e[0]+" "+e[1])+suffix); err != nil {
			t.Fatal(err)
		}
	}
	named := front("named")
	for name, tt := range map[string]struct {
		lines    []string
		endpoint string
		asked    string // which front; "" for the lack of an endpoint
	}{
		"region":             {[]string{"region_name: there"}, "", "there public"},
		"region by default":  {[]string{"region_name: here"}, "", "here public"},
		"interface":          {[]string{"region_name: here", "interface: internal"}, "", "here internal"},
		"interface by URL":   {[]string{"region_name: here", "interface: adminURL"}, "", "here admin"},
		"endpoint_type":      {[]string{"region_name: here", "endpoint_type: internal"}, "", "here internal"},
		"only one has it":    {[]string{"interface: admin"}, "", "here admin"},
		"no such interface":  {[]string{"region_name: there", "interface: internal"}, "", ""},
		"no such region":     {[]string{"region_name: nowhere"}, "", ""},
		"named in Caddyfile": {[]string{"region_name: nowhere", "interface: internal"}, named, "named"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range fronts {
				n.Store(0)
			}
			client, _ := c.client(t, tt.endpoint, entry(t, c.auth, tt.lines...))
			err := ask(t.Context(), client)
			if tt.asked == "" {
				wantError(t, err, ironic.ErrUnavailable, "no_endpoint")
			} else if err != nil {
				t.Error(err)
			}
			for front, n := range fronts {
				if asked := n.Load() > 0; asked != (front == tt.asked) {
					t.Errorf("%d requests at %q, want them at %q", n.Load(), front, tt.asked)
				}
			}
		})
	}
}

// testRefused is about credentials that Keystone does not take.
func (c *cloud) testRefused(t *testing.T) {
	const wrong = "wrong-secret"
	replaced := func(name, value string) []string {
		var lines []string
		for _, line := range c.auth {
			if strings.HasPrefix(line, name) {
				line = name + value
			}
			lines = append(lines, line)
		}
		return lines
	}
	cases := map[string][]string{"secret": replaced(c.identity.secret, wrong)}
	if c.identity.name == byPassword.name {
		cases["user"] = replaced("username: ", "nobody")
	} else {
		cases["credential"] = replaced("application_credential_id: ", "0123456789abcdef0123456789abcdef")
	}
	for name, lines := range cases {
		t.Run(name, func(t *testing.T) {
			client, sent := c.client(t, c.ironic.URL, entry(t, lines))
			err := ask(t.Context(), client)
			wantError(t, err, ironic.ErrUnavailable, "unauthorized")
			for _, line := range lines {
				secret, ok := strings.CutPrefix(line, c.identity.secret)
				if ok && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
					t.Errorf("the error holds the secret: %#v", err)
				}
			}
			if n, _ := sent.seen(); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
		})
	}
}

// testRights is about accounts that may log in and lack the role. Ironic does not say so to all of them.
func (c *cloud) testRights(t *testing.T) {
	id, secret, err := c.keystone.AddCredential(t.Context(), t.Name(), "reader")
	if err != nil {
		t.Fatal(err)
	}
	// It sees the nodes of its project, which are none.
	client, _ := c.client(t, c.ironic.URL, entry(t, []string{"auth_url: " + c.keystone.URL, "application_credential_id: " + id,
		"application_credential_secret: " + secret}))
	wantError(t, ask(t.Context(), client), ironic.ErrNoNode, "no_port")

	// No scope, no roles, no catalogue.
	unscoped := []string{"auth_url: " + c.keystone.URL + "/v3", "username: " + realkeystone.User, "password: " + realkeystone.Password,
		"user_domain_name: " + realkeystone.Domain}
	client, _ = c.client(t, c.ironic.URL, entry(t, unscoped))
	wantError(t, ask(t.Context(), client), ironic.ErrUnavailable, "forbidden")
	client, _ = c.client(t, "", entry(t, unscoped))
	wantError(t, ask(t.Context(), client), ironic.ErrUnavailable, "no_endpoint")
}

// many is how many calls are made at once.
const many = 20

// testRevoked takes the client's token away, from under one call and from under many.
func (c *cloud) testRevoked(t *testing.T) {
	client, sent := c.client(t, c.ironic.URL, entry(t, c.auth))
	for life, calls := range []int{1, many, many} {
		if err := askMany(t.Context(), client, calls); err != nil {
			t.Errorf("life %d: %v", life, err)
		}
		logins, token := sent.seen()
		if logins != life+1 {
			t.Errorf("life %d: %d logins by now, want one for each token", life, logins)
		}
		if err := c.keystone.Revoke(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		c.awaitRefusal(t, token)
	}
}

// awaitRefusal waits until Ironic has noticed that a token is not good any more.
func (c *cloud) awaitRefusal(t *testing.T, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	op := &operator{url: c.ironic.URL, authorize: func(r *http.Request) { r.Header.Set("X-Auth-Token", token) }}
	err := daemon.Poll(ctx, 200*time.Millisecond, func() (bool, error) {
		err := op.do(ctx, http.MethodGet, "/v1/ports", nil, nil)
		return err != nil && strings.Contains(err.Error(), "status 401"), nil
	})
	if err != nil {
		t.Fatalf("Ironic takes a revoked token: %v", err)
	}
}

// testOutage takes Keystone away. Ironic then cannot check a token, and a client cannot get one.
func (c *cloud) testOutage(t *testing.T) {
	client, sent := c.client(t, c.ironic.URL, entry(t, c.auth))
	if err := ask(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if err := c.keystone.Kill(); err != nil {
		t.Fatal(err)
	}
	var err error
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = daemon.Poll(ctx, 200*time.Millisecond, func() (bool, error) { // Ironic has a short memory of good tokens
		err = ask(ctx, client)
		return err != nil, nil
	})
	wantError(t, err, ironic.ErrUnavailable, "http_503")
	late, _ := c.client(t, c.ironic.URL, entry(t, c.auth))
	wantError(t, ask(t.Context(), late), ironic.ErrUnavailable, "refused")
	if err := c.keystone.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, client := range []*ironic.Client{client, late} {
		if err := ask(t.Context(), client); err != nil {
			t.Errorf("with Keystone back: %v", err)
		}
	}
	if n, _ := sent.seen(); n != 1 {
		t.Errorf("%d logins, want 1: the token outlives the outage", n)
	}
}

// testWithdrawn is about credentials that were good once. They are tried once more, for all calls under way. It comes last:
// a token from the second in which a password was changed is not good, either.
func (c *cloud) testWithdrawn(t *testing.T) {
	lines, _ := c.identity.entry(t, c.keystone)
	client, sent := c.client(t, c.ironic.URL, entry(t, lines))
	if err := ask(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if err := c.identity.withdraw(t.Context(), c.keystone, lines); err != nil {
		t.Fatal(err)
	}
	_, token := sent.seen()
	c.awaitRefusal(t, token)
	var asking sync.WaitGroup
	for range many {
		asking.Go(func() { wantError(t, ask(t.Context(), client), ironic.ErrUnavailable, "unauthorized") })
	}
	asking.Wait()
	if logins, _ := sent.seen(); logins != 2 {
		t.Errorf("%d logins, want the first and one more", logins)
	}
}
