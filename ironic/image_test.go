// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
)

const imageID = "5e0bd1d0-77d2-4d2e-9f0a-000000000001"

// document is what Glance 25 says of an image, but for what is not of interest.
func document(change func(map[string]any)) string {
	d := map[string]any{
		"id": imageID, "status": "active", "size": 1234567890123, "checksum": "d41d8cd98f00b204e9800998ecf8427e",
		"os_hash_algo": "sha512", "os_hash_value": "cf83e1357eefb8bd", "file": "/v2/images/" + imageID + "/file", "os_hidden": false,
	}
	if change != nil {
		change(d)
	}
	b, _ := json.Marshal(d)
	return string(b)
}

// glance answers about images, with one answer for all.
type glance struct {
	valid func(token string) bool // nil: no token is wanted

	mu     sync.Mutex
	seen   []*http.Request
	status int
	header http.Header
	body   string
}

func (g *glance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, r)
	w.Header().Set("X-Openstack-Request-Id", "req-1")
	for name, values := range g.header {
		w.Header()[name] = values
	}
	switch {
	case g.valid != nil && !g.valid(r.Header.Get("X-Auth-Token")):
		w.WriteHeader(http.StatusUnauthorized)
	case g.status != 0:
		w.WriteHeader(g.status)
	}
	_, _ = w.Write([]byte(g.body))
}

func (g *glance) requests() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

func TestImage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(map[string]any)
		want   ironic.Image
	}{
		"multihash": {nil, ironic.Image{Algorithm: "sha512", Digest: "cf83e1357eefb8bd", Size: 1234567890123}},
		"before there were multihashes": {func(d map[string]any) { d["os_hash_algo"], d["os_hash_value"] = nil, nil },
			ironic.Image{Algorithm: "md5", Digest: "d41d8cd98f00b204e9800998ecf8427e", Size: 1234567890123}},
		"half a multihash": {func(d map[string]any) { d["os_hash_value"] = "" },
			ironic.Image{Algorithm: "md5", Digest: "d41d8cd98f00b204e9800998ecf8427e", Size: 1234567890123}},
		"only a location": {func(d map[string]any) {
			d["os_hash_algo"], d["os_hash_value"], d["checksum"], d["size"] = nil, nil, nil, nil
		}, ironic.Image{Size: -1}},
		"empty": {func(d map[string]any) { d["size"] = 0 }, ironic.Image{Algorithm: "sha512", Digest: "cf83e1357eefb8bd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &glance{body: document(tt.change)}
			server := httptest.NewServer(g)
			t.Cleanup(server.Close)
			// Ironic's credentials are not Glance's.
			c := newClient(t, ironic.Config{Endpoint: "http://127.0.0.1:1", Glance: server.URL + "/image/v2/",
				Auth: ironic.Auth{Kind: "http_basic", Username: "edge", Password: password}})
			got, err := c.Image(t.Context(), imageID)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Status, tt.want.URL = "active", server.URL+"/image/v2/images/"+imageID+"/file"
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || len(got.Header) != 0 {
				t.Errorf("Image = %v, want %v", got, tt.want)
			}
			r := g.requests()
			if len(r) != 1 || r[0].URL.Path != "/image/v2/images/"+imageID || r[0].Header.Get("Authorization") != "" {
				t.Errorf("asked %d times, %v", len(r), r[0])
			}
		})
	}
}

func TestImageFails(t *testing.T) {
	t.Parallel()
	const secret = "body-with-a-secret"
	set := func(name string, value any) string {
		return document(func(d map[string]any) { d[name] = value })
	}
	proxy := http.Header{"X-Openstack-Request-Id": nil}
	for name, tt := range map[string]struct {
		answer *glance
		kind   error
		reason string
		status int
		calls  int
	}{
		"queued":           {&glance{body: set("status", "queued")}, ironic.ErrUnavailable, "not_active", 0, 1},
		"saving":           {&glance{body: set("status", "saving")}, ironic.ErrUnavailable, "not_active", 0, 1},
		"uploading":        {&glance{body: set("status", "uploading")}, ironic.ErrUnavailable, "not_active", 0, 1},
		"importing":        {&glance{body: set("status", "importing")}, ironic.ErrUnavailable, "not_active", 0, 1},
		"deactivated":      {&glance{body: set("status", "deactivated")}, ironic.ErrNoImage, "deactivated", 0, 1},
		"pending deletion": {&glance{body: set("status", "pending_delete")}, ironic.ErrNoImage, "deleted", 0, 1},
		"deleted":          {&glance{body: set("status", "deleted")}, ironic.ErrNoImage, "deleted", 0, 1},
		"killed":           {&glance{body: set("status", "killed")}, ironic.ErrNoImage, "deleted", 0, 1},
		"new status":       {&glance{body: set("status", secret)}, ironic.ErrBadAnswer, "unknown_status", 0, 1},
		"no status":        {&glance{body: set("status", nil)}, ironic.ErrBadAnswer, "unknown_status", 0, 1},
		"another image":    {&glance{body: set("id", secret)}, ironic.ErrBadAnswer, "wrong_image", 0, 1},
		"odd status":       {&glance{body: set("status", 7)}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"odd digest":       {&glance{body: set("os_hash_value", []string{secret})}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"odd size":         {&glance{body: set("size", "7")}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"broken size":      {&glance{body: set("size", 7.5)}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"negative size":    {&glance{body: set("size", -7)}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"no JSON":          {&glance{body: "<html>" + secret}, ironic.ErrBadAnswer, "bad_json", 0, 1},
		"another JSON":     {&glance{body: `["` + secret + `"]`}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"404":              {&glance{status: 404, body: secret}, ironic.ErrNoImage, "no_image", 404, 1},
		"404 of another":   {&glance{status: 404, body: secret, header: proxy}, ironic.ErrBadAnswer, "http_404", 404, 1},
		"401":              {&glance{status: 401, body: secret}, ironic.ErrUnavailable, "unauthorized", 401, 1},
		"403":              {&glance{status: 403, body: secret}, ironic.ErrUnavailable, "forbidden", 403, 1},
		"400":              {&glance{status: 400, body: secret}, ironic.ErrBadAnswer, "http_400", 400, 1},
		"redirection": {&glance{status: 302, header: http.Header{"Location": {"http://elsewhere/"}}},
			ironic.ErrBadAnswer, "http_302", 302, 1},
		"300, as below the versions": {&glance{status: 300, body: secret}, ironic.ErrBadAnswer, "http_300", 300, 1},
		"503":                        {&glance{status: 503, body: secret}, ironic.ErrUnavailable, "http_503", 503, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, ironic.Config{Endpoint: "http://ironic", Glance: "http://glance", Wrap: func(http.RoundTripper) http.RoundTripper {
					return inProcess(tt.answer.ServeHTTP)
				}})
				got, err := c.Image(t.Context(), imageID)
				e := wantError(t, err, tt.kind, tt.reason)
				if e.Status != tt.status || got.URL != "" {
					t.Errorf("status %d, image %v; want status %d and none", e.Status, got, tt.status)
				}
				if n := len(tt.answer.requests()); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
				if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), imageID) {
					t.Errorf("%q holds the body, or not the image", err)
				}
			})
		})
	}
}

func TestImageWithoutGlance(t *testing.T) {
	t.Parallel()
	c := newClient(t, ironic.Config{Endpoint: "http://127.0.0.1:1"})
	_, err := c.Image(t.Context(), imageID)
	wantError(t, err, ironic.ErrUnavailable, "no_endpoint")
	if !strings.Contains(err.Error(), "(Glance)") {
		t.Errorf("%q does not name the option", err)
	}
	for _, id := range []string{"", "../../" + imageID, imageID + "/file", "glance://" + imageID, "my image", strings.ReplaceAll(imageID, "-", "")} {
		_, err := c.Image(t.Context(), id)
		wantError(t, err, ironic.ErrNoImage, "not_a_uuid")
	}
	for name, endpoint := range map[string]string{"no scheme": "glance:9292", "a user": "http://edge:horse@glance", "a query": "http://glance?a"} {
		_, err := ironic.New(t.Context(), ironic.Config{Endpoint: "http://ironic", Glance: endpoint})
		var bad *ironic.ConfigError
		if !errors.As(err, &bad) || bad.Field != "Glance" || strings.Contains(err.Error(), "horse") {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

func TestImageCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ironic.Config{Endpoint: "http://ironic", Glance: "http://glance", Wrap: func(http.RoundTripper) http.RoundTripper {
			return inProcess(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Image(ctx, imageID)
		wantError(t, err, ironic.ErrUnavailable, "timeout")
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := c.Image(ctx, imageID); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}

// withGlance starts a Glance that takes the tokens of a Keystone that has it in its catalog.
func withGlance(t *testing.T, entry string) (*glance, *keystone, ironic.Config) {
	t.Helper()
	_, k, auth := withKeystone(t, entry)
	g := &glance{body: document(nil), valid: k.valid}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	k.glance = server.URL
	return g, k, ironic.Config{Auth: auth}
}

func TestImageByKeystone(t *testing.T) {
	t.Parallel()
	_, k, cfg := withGlance(t, passwordEntry)
	c := newClient(t, cfg)
	for n := 1; n <= 2; n++ {
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() {
				got, err := c.Image(t.Context(), imageID)
				if err != nil {
					t.Error(err)
					return
				}
				if token, want := http.Header(got.Header).Get("X-Auth-Token"), fmt.Sprintf("token-%d", n); token != want {
					t.Errorf("token %s, want %s", token, want)
				}
			})
		}
		asking.Wait()
		if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
			t.Error(err)
		}
		if got := k.logins(); got != n {
			t.Errorf("%d logins, want one for each token's life", got)
		}
		k.expire()
	}
}

// TestImageWithoutIronic has a Keystone and a Glance, and an Ironic that is away.
func TestImageWithoutIronic(t *testing.T) {
	t.Parallel()
	_, k, cfg := withGlance(t, passwordEntry)
	k.endpoint = "http://127.0.0.1:1"
	c := newClient(t, cfg)
	for range 2 {
		if _, err := c.Image(t.Context(), imageID); err != nil {
			t.Error(err)
		}
	}
	if n := k.logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestImageByKeystoneFails(t *testing.T) {
	t.Parallel()
	t.Run("token refused", func(t *testing.T) {
		t.Parallel()
		g, k, cfg := withGlance(t, passwordEntry)
		g.valid = func(string) bool { return false }
		_, err := newClient(t, cfg).Image(t.Context(), imageID)
		wantError(t, err, ironic.ErrUnavailable, "unauthorized")
		if n := k.logins(); n != 2 {
			t.Errorf("%d logins, want one more than the first", n)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		_, _, cfg := withGlance(t, strings.Replace(passwordEntry, password, password+"!", 1))
		_, err := newClient(t, cfg).Image(t.Context(), imageID)
		wantError(t, err, ironic.ErrUnavailable, "unauthorized")
		wantNoSecret(t, err)
	})
	t.Run("catalog without it", func(t *testing.T) {
		t.Parallel()
		_, k, cfg := withGlance(t, passwordEntry)
		g := k.glance
		k.glance = ""
		_, err := newClient(t, cfg).Image(t.Context(), imageID)
		wantError(t, err, ironic.ErrUnavailable, "no_endpoint")
		if !strings.Contains(err.Error(), "(Glance)") {
			t.Errorf("%q does not name the option", err)
		}
		cfg.Glance = g // which wins over the catalog
		if got, err := newClient(t, cfg).Image(t.Context(), imageID); err != nil || !strings.HasPrefix(got.URL, g) {
			t.Errorf("Image = %v, %v", got, err)
		}
	})
}

func TestPrivateHeaderIsNotPrinted(t *testing.T) {
	t.Parallel()
	image := ironic.Image{URL: "http://glance/", Header: ironic.PrivateHeader{"X-Auth-Token": {"s3cret"}}}
	encoded, err := json.Marshal(image)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		texts = append(texts, fmt.Sprintf(verb, image.Header), fmt.Sprintf(verb, image), fmt.Sprintf(verb, &image))
	}
	for _, text := range texts {
		if strings.Contains(text, "s3cret") || strings.Contains(text, "733363726574") || !strings.Contains(text, "X-Auth-Token") {
			t.Errorf("%s is not redacted", text)
		}
	}
}
