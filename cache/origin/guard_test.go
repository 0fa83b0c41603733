// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	own := []net.Addr{
		&net.IPNet{IP: net.IPv4(10, 17, 0, 5), Mask: net.CIDRMask(24, 32)},
		&net.IPNet{IP: net.ParseIP("fd17::5"), Mask: net.CIDRMask(64, 128)},
	}
	for a, want := range map[string]string{
		"127.0.0.1": "loopback", "127.255.0.9": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback",
		"64:ff9b::7f00:1": "loopback", "0.0.0.0": "no machine", "::": "no machine", "0.1.2.3": "no machine",
		"169.254.169.254": "link-local", "::ffff:169.254.169.254": "link-local", "64:ff9b::a9fe:a9fe": "link-local",
		"fe80::1": "link-local", "fe80::1%eth0": "link-local", "224.0.0.1": "many machines", "239.1.2.3": "many machines",
		"ff02::1": "many machines", "255.255.255.255": "many machines",
		"10.17.0.5": "this machine", "::ffff:10.17.0.5": "this machine", "fd17::5": "this machine", "fd17::5%eth0": "this machine",
		"64:ff9b::a11:5": "this machine",
		"10.17.0.6":      "", "10.0.0.1": "", "172.16.0.1": "", "192.168.1.1": "", "100.64.0.1": "", "fd17::6": "",
		"192.0.2.1": "", "2001:db8::1": "", "64:ff9b::c000:201": "",
	} {
		err := checkAddress(netip.MustParseAddr(a), own)
		var refused *AddressError
		if errors.As(err, &refused) != (want != "") || want != "" && !strings.Contains(refused.Why, want) {
			t.Errorf("%s: %v, want %q", a, err, want)
		}
	}
}

// TestApart dials a server that has files of many owners, whose name in the configuration is what they are told apart by.
func TestApart(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(cfg *Config) {
		cfg.AnyFirst = true
		cfg.Apart = []string{"http://192.0.2.7:8088/http_root", "https://[2001:db8::7]"}
	})
	for dialed, want := range map[string]bool{
		"192.0.2.7:8088":           true,
		"[::ffff:192.0.2.7]:8088":  true,
		"[64:ff9b::c000:207]:8088": true,
		"[2001:db8::7]:443":        true,
		"192.0.2.7:8089":           false,
		"192.0.2.8:8088":           false,
		"[2001:db8::7]:8088":       false,
	} {
		err := c.checkDial(t.Context(), "tcp", dialed, nil)
		var refused *AddressError
		if errors.As(err, &refused) != want || (err != nil) != want {
			t.Errorf("%s: %v, want it refused: %t", dialed, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c = newClient(t, func(cfg *Config) { cfg.Apart = []string{"http://conductor.invalid"} })
	var refused *AddressError
	if err := c.checkDial(ctx, "tcp", "192.0.2.7:80", nil); err == nil || errors.As(err, &refused) {
		t.Errorf("with a name that cannot be looked up: %v, want an error that may pass", err)
	}
}

// guardedClient is one for URLs of others, and a server on this machine under a name that no check of names finds out.
func guardedClient(t *testing.T, change func(*Config)) (c *Client, o *rawOrigin, byName string) {
	t.Helper()
	o = startRaw(t, func(*http.Request) string { return small })
	c = newClient(t, func(cfg *Config) {
		cfg.AnyFirst = true
		if change != nil {
			change(cfg)
		}
	})
	return c, o, strings.Replace(o.url, "127.0.0.1", "localhost", 1)
}

func TestGuard(t *testing.T) {
	t.Parallel()
	c, o, byName := guardedClient(t, nil)
	var refused *AddressError
	for _, u := range []string{o.url, "http://[::1]:1/k", "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0:8080/"} {
		if _, err := c.Source(u, nil); !errors.As(err, &refused) {
			t.Errorf("Source(%s) = %v, want an AddressError", u, err)
		}
	}
	s, err := c.Source(byName+"/k?s3cret", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Open(t.Context(), cache.Ask{})
	var answer *cache.OriginError
	if !errors.As(err, &refused) || !errors.As(err, &answer) || answer.Temporary || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Open = %v, want an AddressError, for good and without the query", err)
	}
	if _, err := c.OCI("oci://127.0.0.1:5000/a@sha256:" + strings.Repeat("0", 64)); !errors.As(err, &refused) {
		t.Errorf("OCI = %v, want an AddressError", err)
	}
	if n := len(o.requests()); n > 0 {
		t.Errorf("this machine was asked %d times", n)
	}
}

// TestGuardAndNames has the same server named by the configuration in each way that there is.
func TestGuardAndNames(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(c *Config, u string){
		"allowed": func(c *Config, u string) { c.Allow = []string{u} },
		"named":   func(c *Config, u string) { c.Named = []string{"http://bücher.example", u + "/images/"} },
	} {
		o := startRaw(t, func(*http.Request) string { return small })
		u := strings.Replace(o.url, "127.0.0.1", "localhost", 1)
		c := newClient(t, func(cfg *Config) { cfg.AnyFirst = true; configure(cfg, u) })
		s, err := c.Source(u+"/k", nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Open(t.Context(), cache.Ask{})
		if got, want := outcome(t, p, err), "200, 0+1 of 1: 0"; got != want {
			t.Errorf("%s: Open = %s, want %s", name, got, want)
		}
		if _, err := c.Source("http://127.0.0.1:1/", nil); err == nil {
			t.Errorf("%s: another port of this machine may be asked, too", name)
		}
	}
}

// TestGuardedConnections has a connection to this machine, made for a URL of the configuration's, wait for the next
// question: it must not be one of somebody else's.
func TestGuardedConnections(t *testing.T) {
	t.Parallel()
	c, o, byName := guardedClient(t, nil)
	named, err := c.Named(byName+"/named", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := named.Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, p, err), "200, 0+1 of 1: 0"; got != want {
		t.Fatalf("Open = %s, want %s", got, want)
	}
	other, err := c.Source(byName+"/other", nil)
	if err != nil {
		t.Fatal(err)
	}
	var refused *AddressError
	if _, err := other.Open(t.Context(), cache.Ask{}); !errors.As(err, &refused) {
		t.Errorf("Open = %v, want an AddressError", err)
	}
	if n := len(o.requests()); n != 1 {
		t.Errorf("%d questions, want that of the configuration's URL only", n)
	}
}

// TestGuardBehindAProxy has names looked up by the proxy, which may be on this machine.
func TestGuardBehindAProxy(t *testing.T) {
	t.Parallel()
	proxy := startRaw(t, func(*http.Request) string { return small })
	c := newClient(t, func(cfg *Config) { cfg.AnyFirst = true })
	c.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.url) }
	c.transport.(*http.Transport).Proxy = c.proxy
	s, err := c.Source("http://images.example/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, p, err), "200, 0+1 of 1: 0"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
	if _, err := c.HTTPClient().Get("http://169.254.169.254/"); err == nil {
		t.Error("the proxy is asked for a link-local address")
	}
}

// TestHTTPClient follows redirects by the same rule as a Source.
func TestHTTPClient(t *testing.T) {
	t.Parallel()
	stranger := startRaw(t, func(*http.Request) string { return small })
	var locations = map[string]string{
		"/same": "/end", "/stranger": stranger.url + "/end", "/loop": "/loop", "/user": "",
	}
	o := startRaw(t, func(r *http.Request) string {
		if to, ok := locations[r.URL.Path]; ok {
			return redirectTo(to)
		}
		return small
	})
	locations["/user"] = strings.Replace(o.url, "http://", "http://somebody:s3cret@", 1) + "/end"
	c := newClient(t, func(cfg *Config) { cfg.Named, cfg.AnyFirst = []string{o.url}, true })
	for path, want := range map[string]string{
		"/same":     "",
		"/user":     "",
		"/stranger": "a redirect to " + hostOf(stranger) + " (http), which Allow does not name",
		"/loop":     "more than 5 redirects",
	} {
		response, err := c.HTTPClient().Get(o.url + path)
		if err == nil {
			response.Body.Close()
		}
		var refused *cache.OriginError
		if errors.As(err, &refused) != (want != "") || want != "" && refused.Reason != want {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	for _, r := range o.requests() {
		if r.Header.Get("Authorization") != "" {
			t.Error("a redirect says who we are")
		}
	}
	var address *AddressError
	if _, err := c.HTTPClient().Get(strings.Replace(stranger.url, "127.0.0.1", "localhost", 1)); !errors.As(err, &address) {
		t.Errorf("this machine by name: %v, want an AddressError", err)
	}
	if n := len(stranger.requests()); n > 0 {
		t.Errorf("who may not be asked was asked %d times", n)
	}
}

// TestHopWithinAnOrigin redirects within an origin that nobody names, and away from it.
func TestHopWithinAnOrigin(t *testing.T) {
	t.Parallel()
	for anyFirst, want := range map[bool]bool{true: true, false: false} {
		c := newClient(t, func(cfg *Config) { cfg.AnyFirst = anyFirst })
		at := address{"http", "images.example", "80"}
		for to, within := range map[string]bool{"http://images.example/k": true, "http://images.example:81/k": false, "https://images.example/k": false} {
			u, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.hop(at, u); (err == nil) != (want && within) {
				t.Errorf("AnyFirst %t, to %s: %v", anyFirst, to, err)
			}
		}
	}
}
