// SPDX-License-Identifier: Apache-2.0

//go:build integration

package references

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/integration/daemon"
	"github.com/ironic-edge/ironic-edge/integration/realkeystone"
	"github.com/ironic-edge/ironic-edge/ironic"
)

const startTimeout = 60 * time.Second

// glance is a real one, with its Keystone.
type glance struct {
	url      string
	keystone *realkeystone.Keystone
	token    string // of an administrator
}

func startGlance(t *testing.T) *glance {
	t.Helper()
	k, err := realkeystone.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	})
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	g := &glance{url: "http://127.0.0.1:" + port, keystone: k}
	dir := t.TempDir()
	for name, lines := range map[string][]string{
		"glance-api.conf": {
			"[DEFAULT]",
			"log_file = " + dir + "/log",
			"enabled_backends = disk:file",
			"[glance_store]",
			"default_backend = disk",
			"[disk]",
			"filesystem_store_datadir = " + dir + "/images",
			"[os_glance_staging_store]",
			"filesystem_store_datadir = " + dir + "/staging",
			"[os_glance_tasks_store]",
			"filesystem_store_datadir = " + dir + "/tasks",
			"[database]",
			"connection = sqlite:///" + dir + "/glance.sqlite?timeout=60",
			"[oslo_concurrency]",
			"lock_path = " + dir + "/lock",
			"[keystone_authtoken]",
			"auth_type = password", "auth_url = " + k.URL, "www_authenticate_uri = " + k.URL,
			"username = " + realkeystone.IronicUser, "password = " + realkeystone.IronicPassword, "project_name = " + realkeystone.Project,
			"user_domain_name = " + realkeystone.Domain, "project_domain_name = " + realkeystone.Domain,
			"token_cache_time = 1",
			"[paste_deploy]",
			"flavor = keystone",
		},
		// The least of what Debian's glance-common has.
		"glance-api-paste.ini": {
			"[pipeline:glance-api-keystone]",
			"pipeline = versionnegotiation authtoken context rootapp",
			"[composite:rootapp]",
			"paste.composite_factory = glance.api:root_app_factory",
			"/: apiversions",
			"/v2: apiv2app",
			"[app:apiversions]",
			"paste.app_factory = glance.api.versions:create_resource",
			"[app:apiv2app]",
			"paste.app_factory = glance.api.v2.router:API.factory",
			"[filter:versionnegotiation]",
			"paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory",
			"[filter:context]",
			"paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory",
			"[filter:authtoken]",
			"paste.filter_factory = keystonemiddleware.auth_token:filter_factory",
			"delay_auth_decision = true",
		},
		"app.py": {"from glance.common.wsgi_app import init_app", "application = init_app()"},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"images", "staging", "tasks", "lock"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-m", "glance.cmd.manage", "--config-file", dir+"/glance-api.conf", "db_sync").CombinedOutput()
	if err != nil {
		t.Fatalf("prepare Glance's database (run integration/install.d/glance.sh): %v: %s", err, daemon.Tail(string(out)))
	}
	cmd := exec.Command("/usr/bin/uwsgi_python3", "--http-socket", "127.0.0.1:"+port, "--wsgi-file", dir+"/app.py", "--master", "--die-on-term",
		"--need-app", "--single-interpreter", "--enable-threads", "--processes", "2", "--add-header", "Connection: close")
	cmd.Env = append(os.Environ(), "OS_GLANCE_CONFIG_DIR="+dir)
	d, err := daemon.Start(cmd, dir+"/output")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, name := range []string{"output", "log"} {
				text, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s: %s", name, daemon.Tail(string(text)))
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := d.WaitUntil(ctx, func() bool {
		resp, err := http.Get(g.url + "/versions")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}); err != nil {
		t.Fatalf("start Glance: %v", err)
	}
	if err := k.AddService(t.Context(), "glance", "image", "here", g.url); err != nil {
		t.Fatal(err)
	}
	if err := k.AddEndpoint(t.Context(), "here", "public", "http://127.0.0.1:1"); err != nil { // there is no Ironic
		t.Fatal(err)
	}
	if g.token, err = k.AdminProjectToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// send makes one request as an administrator, and decodes the answer into to, unless that is nil.
func (g *glance) send(t *testing.T, method, path, mediaType string, body []byte, to any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", g.token)
	r.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, resp.StatusCode, err, text)
	}
	if to != nil {
		if err := json.Unmarshal(text, to); err != nil {
			t.Fatal(err)
		}
	}
}

// create makes an image without bytes and returns its id.
func (g *glance) create(t *testing.T, name, visibility string) string {
	t.Helper()
	var image struct{ ID string }
	g.send(t, http.MethodPost, "/v2/images", "application/json", []byte(fmt.Sprintf(
		`{"name": %q, "disk_format": "raw", "container_format": "bare", "visibility": %q}`, name, visibility)), &image)
	return image.ID
}

func (g *glance) upload(t *testing.T, id string, content []byte) {
	t.Helper()
	g.send(t, http.MethodPut, "/v2/images/"+id+"/file", "application/octet-stream", content, nil)
}

// client is the edge's, who is no administrator.
func (g *glance) client(t *testing.T) *ironic.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	text := fmt.Sprintf("clouds:\n  rack:\n    region_name: here\n    auth: {auth_url: %q, username: %q, password: %q, project_name: %q, user_domain_name: %q, project_domain_name: %q}\n",
		g.keystone.URL+"/v3", realkeystone.User, realkeystone.Password, realkeystone.Project, realkeystone.Domain, realkeystone.Domain)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ironic.New(t.Context(), ironic.Config{Auth: ironic.Auth{Kind: "cloud", Cloud: "rack", CloudsFile: file}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestGlance(t *testing.T) {
	g := startGlance(t)
	c := g.client(t)
	content := make([]byte, 3<<20+17)
	_, _ = rand.Read(content)
	id := g.create(t, "ramdisk", "public")

	_, err := c.Image(t.Context(), id)
	wantError(t, err, ironic.ErrUnavailable, "not_active") // queued
	g.upload(t, id, content)
	image, err := c.Image(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha512.Sum512(content)); image.Algorithm != "sha512" || image.Digest != want || image.Size != int64(len(content)) {
		t.Errorf("Image = %v, want the sha512 digest %s and %d bytes", image, want, len(content))
	}
	t.Run("bytes", func(t *testing.T) { testBytes(t, g, image, content) })

	t.Run("another's", func(t *testing.T) {
		private := g.create(t, "private", "private")
		g.upload(t, private, content[:1000])
		_, err := c.Image(t.Context(), private)
		wantError(t, err, ironic.ErrNoImage, "no_image")
	})
	t.Run("none", func(t *testing.T) {
		_, err := c.Image(t.Context(), "5e0bd1d0-77d2-4d2e-9f0a-000000000001")
		wantError(t, err, ironic.ErrNoImage, "no_image")
	})
	t.Run("revoked token", func(t *testing.T) {
		token := http.Header(image.Header).Get("X-Auth-Token")
		if err := g.keystone.Revoke(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
		defer cancel()
		if err := daemon.Poll(ctx, 200*time.Millisecond, func() (bool, error) { // Glance believes in a token for a second
			image, err := c.Image(t.Context(), id)
			return err == nil && http.Header(image.Header).Get("X-Auth-Token") != token, err
		}); err != nil {
			t.Error(err)
		}
	})
	t.Run("deactivated", func(t *testing.T) {
		g.send(t, http.MethodPost, "/v2/images/"+id+"/actions/deactivate", "application/json", nil, nil)
		_, err := c.Image(t.Context(), id)
		wantError(t, err, ironic.ErrNoImage, "deactivated")
		g.send(t, http.MethodPost, "/v2/images/"+id+"/actions/reactivate", "application/json", nil, nil)
		if _, err := c.Image(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
}

// testBytes fetches an image as the store does. Glance 25.1 serves every range, but says so only in the answer to one, and
// sends no validator: neither Etag nor Last-Modified (glance/api/v2/image_data.py: ResponseSerializer.download). Only the
// digest tells whether two parts are of the same image, whose bytes Glance never changes.
func testBytes(t *testing.T, g *glance, image ironic.Image, content []byte) {
	client, err := origin.New(origin.Config{Allow: []string{g.url}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := client.Source(image.URL, http.Header(image.Header))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(content))
	for name, tt := range map[string]struct {
		ask    cache.Ask
		length int64
	}{
		"all":                 {cache.Ask{}, size},
		"the first half":      {cache.Ask{Length: size / 2}, size / 2},
		"the middle":          {cache.Ask{First: 1000, Length: 1 << 20}, 1 << 20},
		"the last byte":       {cache.Ask{First: size - 1, Length: 1}, 1},
		"beyond the end":      {cache.Ask{First: size - 10, Length: 100}, 10},
		"to the end":          {cache.Ask{First: size - 10}, 10},
		"from the first byte": {cache.Ask{Length: size}, size},
	} {
		p, err := s.Open(t.Context(), tt.ask)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(p.Body)
		p.Body.Close()
		if err != nil || p.First != tt.ask.First || p.Size != size || !bytes.Equal(got, content[tt.ask.First:tt.ask.First+tt.length]) {
			t.Errorf("%s: %d bytes from %d of %d, %v", name, len(got), p.First, p.Size, err)
		}
		if p.Validator != (cache.Validator{}) || p.Ranges == (tt.ask == cache.Ask{}) {
			t.Errorf("%s: validator %+v, ranges %t", name, p.Validator, p.Ranges)
		}
	}
	if err := s.MayRead(t.Context()); err != nil {
		t.Errorf("MayRead = %v", err)
	}
	digest, err := cache.ParseDigest(image.Algorithm, image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	known := origin.Known{From: s, Content: origin.Content{Digest: digest, Size: image.Size}}
	p, err := known.Open(t.Context(), cache.Ask{Length: 1})
	if err != nil {
		t.Fatal(err)
	}
	p.Body.Close()
	if !p.Ranges || !p.Validator.Strong() {
		t.Errorf("with its digest known, ranges %t, validator %+v", p.Ranges, p.Validator)
	}
	p, err = known.Fetch(t.Context(), http.Header{"If-None-Match": {p.Validator.ETag}}, cache.Ask{})
	if err != nil || p.Status != http.StatusNotModified {
		t.Errorf("asked whether it has changed: %v, %v", p, err)
	}
	bare, err := client.Source(image.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	var refused *cache.OriginError
	if err := bare.MayRead(t.Context()); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("MayRead without a token = %v, want a 401", err)
	}
}

func wantError(t *testing.T, err, kind error, reason string) {
	t.Helper()
	var e *ironic.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("error %v, want %v (%s)", err, kind, reason)
	}
}
