// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

func TestOCI(t *testing.T) {
	t.Parallel()
	const sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	c := newClient(t, func(c *Config) {
		c.Allow = []string{"registry.example", "registry.example:5000", "http://plain.example:5000", "plain.example", "[2001:db8::1]:5000"}
		c.Registries = map[string]Registry{"plain.example:5000": {Plain: true}, "Registry.example:443": {Password: "p"}}
	})
	for ref, want := range map[string]string{
		"oci://registry.example/ipa@" + sum:                      "https://registry.example/v2/ipa/blobs/" + sum,
		"oci://Registry.example:443/ipa@" + sum:                  "https://registry.example/v2/ipa/blobs/" + sum,
		"oci://registry.example:5000/a/b-c/d__e.f@" + sum:        "https://registry.example:5000/v2/a/b-c/d__e.f/blobs/" + sum,
		"oci://registry.example/ipa:latest@" + sum:               "https://registry.example/v2/ipa/blobs/" + sum,
		"oci://plain.example:5000/ipa@" + sum:                    "http://plain.example:5000/v2/ipa/blobs/" + sum,
		"oci://plain.example/ipa@" + sum:                         "https://plain.example/v2/ipa/blobs/" + sum,
		"oci://[2001:DB8::1]:5000/ipa@" + sum:                    "https://[2001:db8::1]:5000/v2/ipa/blobs/" + sum,
		"oci://registry.example/ipa@" + sum[:7] + "E3" + sum[9:]: "https://registry.example/v2/ipa/blobs/" + sum,
	} {
		b, err := c.OCI(ref)
		if err != nil {
			t.Errorf("OCI(%s) = %v", ref, err)
			continue
		}
		if got := b.source("blobs", b.digest, nil).String(); got != want {
			t.Errorf("OCI(%s) asks %s, want %s", ref, got, want)
		}
		if again, err := c.OCI(b.String()); err != nil || again.String() != b.String() {
			t.Errorf("OCI(%s) = %s, %v", b, again, err)
		}
	}
	for ref, want := range map[string]string{
		"oci://registry.example/ipa:latest":              "pin it",
		"oci://registry.example/ipa":                     "pin it",
		"oci://registry.example/ipa@latest":              "neither sha256: nor sha512:",
		"oci://registry.example/ipa@sha256":              "not 32",
		"oci://registry.example/ipa@sha256:abcd":         "not 32",
		"oci://registry.example/ipa@sha256:xyz":          "not hexadecimal",
		"oci://registry.example/ipa@md5:" + sum[7:39]:    "neither sha256: nor sha512:",
		"oci://registry.example/ipa@" + sum + "/blob":    "not hexadecimal",
		"oci://registry.example/ipa@" + sum + "?a":       "not hexadecimal",
		"oci://registry.example/../ipa@" + sum:           "no repository",
		"oci://registry.example/IPA@" + sum:              "no repository",
		"oci://registry.example/i%70a@" + sum:            "no repository",
		"oci://registry.example/ipa/@" + sum:             "no repository",
		"oci://registry.example/ipa:@" + sum:             "no repository",
		"oci://registry.example/@" + sum:                 "no repository",
		"oci://registry.example/":                        "not oci://",
		"oci://registry.example":                         "not oci://",
		"oci:///ipa@" + sum:                              "not oci://",
		"oci://reg istry/ipa@" + sum:                     "not oci://",
		"oci://registry.example?a/ipa@" + sum:            "not oci://",
		"oci://registry.example:0/ipa@" + sum:            "port",
		"oci://bücher.example/ipa@" + sum:                "DNS",
		"oci://edge:s3cret@registry.example/ipa@" + sum:  "belongs to",
		"https://registry.example/ipa@" + sum:            "not oci://",
		"registry.example/ipa@" + sum:                    "not oci://",
		"oci://evil.example/ipa@" + sum:                  "https://evil.example is not allowed",
		"oci://registry.example:5001/ipa@" + sum:         "https://registry.example:5001 is not allowed",
		"oci://registry.example.evil.example/ipa@" + sum: "is not allowed",
	} {
		b, err := c.OCI(ref)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("OCI(%s) = %v, %v; want an error with %s", ref, b, err, want)
		}
		var not *NotAllowedError
		if errors.As(err, &not) != strings.Contains(want, "not allowed") {
			t.Errorf("OCI(%s) = %T", ref, err)
		}
	}
	anyFirst := newClient(t, func(c *Config) { c.AnyFirst = true })
	if _, err := anyFirst.OCI("oci://elsewhere.example/ipa@" + sum); err != nil {
		t.Errorf("where any may be first: %v", err)
	}
}

func TestBlob(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	manifest := manifestOf(blob)
	f := newRegistry(manifest, blob)
	server, c := f.serve(t, nil)
	for name, tt := range map[string]struct {
		digest string
		size   int64
	}{
		"by its manifest": {sha([]byte(manifest)), 10},
		"by its own":      {sha(blob), -1},
	} {
		b := blobOf(t, c, server, tt.digest)
		content, err := b.Content(t.Context())
		if err != nil || content.Digest.String() != sha(blob) || content.Size != tt.size {
			t.Errorf("%s: Content = %v, %v", name, content, err)
		}
		p, err := b.Open(t.Context(), cache.Ask{})
		if got, want := outcome(t, p, err), "200, 0+10 of 10: 0123456789, ranges"; got != want {
			t.Errorf("%s: Open = %s, want %s", name, got, want)
		} else if p.Digest == nil || p.Digest.String() != sha(blob) {
			t.Errorf("%s: the part's digest is %v", name, p.Digest)
		}
		same := cache.Ask{First: 7, Length: 2, Same: cache.Validator{ETag: `"` + sha(blob) + `"`}}
		p, err = b.Open(t.Context(), same)
		if got, want := outcome(t, p, err), "206, 7+2 of 10: 78, ranges"; got != want {
			t.Errorf("%s: Open = %s, want %s", name, got, want)
		}
		// Another blob for the same reference knows it, too.
		p, err = blobOf(t, c, server, tt.digest).Open(t.Context(), cache.Ask{})
		if got, want := outcome(t, p, err), "200, 0+10 of 10: 0123456789, ranges"; got != want {
			t.Errorf("%s: Open = %s, want %s", name, got, want)
		}
		if got, want := f.asked(), map[bool]string{true: "manifests 1, blobs 3", false: "manifests 2, blobs 3"}[tt.size > 0]; got != want {
			t.Errorf("%s: asked %s, want %s", name, got, want)
		}
	}
	p, err := blobOf(t, c, server, sha(nil)).Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, p, err), "refused 404: status 404"; got != want {
		t.Errorf("Open of what is not there = %s, want %s", got, want)
	}
}

func TestBlobFetch(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	f := newRegistry(manifestOf(blob), blob)
	f.challenge = wantsToken
	server, c := f.serve(t, nil)
	b := blobOf(t, c, server, sha([]byte(manifestOf(blob))))
	client := http.Header{"Authorization": {"Basic client"}}
	for range 2 {
		p, err := b.Fetch(t.Context(), client, cache.Ask{First: 3})
		if got, want := outcome(t, p, err), "206, 3+7 of 10: 3456789, ranges"; got != want {
			t.Errorf("Fetch = %s, want %s", got, want)
		}
		f.revoke()
	}
	if got := client.Get("Authorization"); got != "Basic client" {
		t.Errorf("the client's header is changed to %q", got)
	}
	if got, want := f.authorization("blobs"), "Bearer token-2-edge-repository:ipa/ramdisk:pull"; got != want {
		t.Errorf("asked with %s, want %s", got, want)
	}
	p, err := b.Fetch(t.Context(), http.Header{"If-None-Match": {`"` + sha(blob) + `"`}}, cache.Ask{})
	if got, want := outcome(t, p, err), "304, 0+0 of 0: "; got != want {
		t.Errorf("Fetch = %s, want %s", got, want)
	}
	f.mu.Lock()
	f.challenge = "Negotiate"
	f.mu.Unlock()
	f.revoke()
	p, err = b.Fetch(t.Context(), nil, cache.Ask{})
	if got := outcome(t, p, err); !strings.HasPrefix(got, "401, ") {
		t.Errorf("Fetch = %s, want the registry's 401", got)
	}
}

func TestManifestsThatAreNone(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	good := manifestOf(blob)
	layer := fmt.Sprintf(`{"digest":"%s","size":10}`, sha(blob))
	for name, tt := range map[string]struct{ manifest, sent, want string }{
		"another":        {good, good + " ", "refused 502: a manifest with another digest"},
		"cut":            {good, good[:20], "refused 502: a manifest with another digest"},
		"too large":      {good, strings.Repeat(" ", maxManifest+1), "refused 502: a manifest that is too large"},
		"no JSON":        {"<html>", "", "refused 502: a manifest that cannot be read"},
		"a list":         {"[]", "", "refused 502: a manifest that cannot be read"},
		"an index":       {`{"manifests":[{}]}`, "", "refused 502: an index, which names images for several machines: pin the manifest of one of them"},
		"no layers":      {`{"config":` + layer + `}`, "", "refused 502: a manifest with 0 layers: an image to boot has one"},
		"two layers":     {`{"layers":[` + layer + "," + layer + `]}`, "", "refused 502: a manifest with 2 layers: an image to boot has one"},
		"no digest":      {`{"layers":[{"size":10}]}`, "", "refused 502: a manifest whose layer has no digest or length"},
		"no length":      {strings.Replace(good, `"size":10`, `"size":-1`, 1), "", "refused 502: a manifest whose layer has no digest or length"},
		"another length": {strings.Replace(good, `"size":10`, `"size":11`, 1), "", "refused 502: another length than is known of it"},
		"good":           {good, "", "200, 0+10 of 10: 0123456789, ranges"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRegistry(tt.manifest, blob)
			if tt.sent != "" {
				f.manifests[sha([]byte(tt.manifest))] = []byte(tt.sent)
			}
			server, c := f.serve(t, nil)
			p, err := blobOf(t, c, server, sha([]byte(tt.manifest))).Open(t.Context(), cache.Ask{})
			if got := outcome(t, p, err); got != tt.want {
				t.Errorf("Open = %s, want %s", got, tt.want)
			}
		})
	}
	for status, want := range map[int]string{
		403: "refused 403: status 403", 429: "refused 429: status 429, temporary", 500: "refused 500: status 500, temporary",
		204: "refused 502: status 204 for a manifest", 304: "refused 502: status 304 for a manifest",
	} {
		o := startRaw(t, func(*http.Request) string { return fmt.Sprintf("HTTP/1.1 %d Well\nContent-Length: 0\n\n", status) })
		c := newClient(t, func(c *Config) {
			c.Allow, c.Registries = []string{o.url}, map[string]Registry{strings.TrimPrefix(o.url, "http://"): {Plain: true}}
		})
		b, err := c.OCI("oci://" + strings.TrimPrefix(o.url, "http://") + "/ipa@" + sha(nil))
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Open(t.Context(), cache.Ask{})
		if got := outcome(t, p, err); got != want {
			t.Errorf("Open = %s, want %s", got, want)
		}
	}
	o := startRaw(t, func(*http.Request) string { return "HTTP/1.1 200 OK\nContent-Length: 10\n\n{" })
	c := newClient(t, func(c *Config) {
		c.Allow, c.Registries = []string{o.url}, map[string]Registry{strings.TrimPrefix(o.url, "http://"): {Plain: true}}
	})
	b, err := c.OCI("oci://" + strings.TrimPrefix(o.url, "http://") + "/ipa@" + sha(nil))
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Open(t.Context(), cache.Ask{})
	if got := outcome(t, p, err); !strings.HasPrefix(got, "error: read the manifest of oci://") {
		t.Errorf("Open = %s, want an error of the line", got)
	}
}

// TestRegistryFailsForManifests has a registry that keeps manifests among its blobs and cannot show any as such.
func TestRegistryFailsForManifests(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		blob []byte
		size string // of the content
		want string
	}{
		"small":        {[]byte("0123456789"), "", "0123456789"},
		"empty":        {[]byte{}, "", ""},
		"JSON":         {[]byte(`{"ip": "dhcp"}`), "", `{"ip": "dhcp"}`},
		"large":        {bytes.Repeat([]byte("0123456789abcdef"), maxManifest/16+1), "", strings.Repeat("0123456789abcdef", maxManifest/16+1)},
		"manifest":     {[]byte(manifestOf([]byte("0123456789"))), "", "0123456789"},
		"not at all":   {nil, "none", ""},
		"of no use":    {[]byte(`{"schemaVersion": 2, "layers": []}`), "none", ""},
		"another blob": {[]byte("0123"), "none", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRegistry("", []byte("0123456789"))
			f.failing = true
			digest := sha(tt.blob)
			if name != "not at all" {
				f.blobs[digest] = tt.blob
			}
			if name == "another blob" {
				digest = sha([]byte("4567"))
				f.blobs[digest] = []byte(`{"schemaVersion": 2}`)
			}
			server, c := f.serve(t, nil)
			b := blobOf(t, c, server, digest)
			p, err := b.Open(t.Context(), cache.Ask{})
			if tt.size == "none" {
				if got, want := outcome(t, p, err), "refused 500: status 500, temporary"; got != want {
					t.Errorf("Open = %s, want %s", got, want)
				}
				return
			}
			want := fmt.Sprintf("200, 0+%d of %d: %s, ranges", len(tt.want), len(tt.want), tt.want)
			if got := outcome(t, p, err); got != want {
				t.Errorf("Open = %.100s, want %.100s", got, want)
			}
			content, err := b.Content(t.Context())
			if err != nil || content.Digest.String() != sha([]byte(tt.want)) || content.Size != int64(len(tt.want)) {
				t.Errorf("Content = %v, %v", content, err)
			}
			if got, want := f.asked(), "manifests 1, blobs 2"; got != want && name != "empty" {
				t.Errorf("asked %s, want %s", got, want)
			}
		})
	}
}

// TestBlobFromCDN has a registry that redirects to another server, which gets no token and may not ask for one.
func TestBlobFromCDN(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	for name, tt := range map[string]struct {
		allowed, refuses bool
		want             string // %s: the CDN's host
		asked            string
	}{
		"allowed":     {true, false, "206, 4+2 of 10: 45, ranges", "manifests 2, token 1, blobs 1"},
		"not allowed": {false, false, "refused 502: a redirect to %s (http), which Allow does not name", "manifests 2, token 1, blobs 1"},
		"refuses":     {true, true, "refused 401: status 401", "manifests 2, token 1, blobs 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRegistry(manifestOf(blob), blob)
			f.challenge = wantsToken
			cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Error("the CDN gets a token")
				}
				if tt.refuses {
					w.Header().Set("Www-Authenticate", `Bearer realm="http://`+r.Host+`/token"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if r.URL.Path == "/token" {
					t.Error("the CDN is asked for a token")
				}
				f.ServeHTTP(w, r)
			}))
			t.Cleanup(cdn.Close)
			f.cdn = cdn.URL + "/v2/ipa/ramdisk/cdn/"
			server, c := f.serve(t, func(c *Config, _ string) {
				if tt.allowed {
					c.Allow = append(c.Allow, cdn.URL)
				}
			})
			p, err := blobOf(t, c, server, sha([]byte(manifestOf(blob)))).Open(t.Context(), cache.Ask{First: 4, Length: 2})
			want := strings.ReplaceAll(tt.want, "%s", strings.TrimPrefix(cdn.URL, "http://"))
			if got := outcome(t, p, err); got != want {
				t.Errorf("Open = %s, want %s", got, want)
			}
			if got := strings.ReplaceAll(f.asked(), ", cdn 1", ""); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
		})
	}
}

// TestRegistryGoesAway keeps what is known of it.
func TestRegistryGoesAway(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	f := newRegistry(manifestOf(blob), blob)
	server, c := f.serve(t, nil)
	b := blobOf(t, c, server, sha([]byte(manifestOf(blob))))
	if _, err := b.Content(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if content, err := b.Content(t.Context()); err != nil || content.Digest.String() != sha(blob) {
		t.Errorf("Content = %v, %v", content, err)
	}
	p, err := b.Open(t.Context(), cache.Ask{})
	if got := outcome(t, p, err); !strings.HasPrefix(got, "error: ask http://") {
		t.Errorf("Open = %s, want an error of the line", got)
	}
}
