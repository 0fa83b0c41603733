// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"crypto/sha256"
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

	"github.com/ironic-edge/ironic-edge/cache"
)

func sha(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// fakeRegistry is an OCI registry with one repository, its token server and its CDN, told apart by their paths or hosts.
type fakeRegistry struct {
	manifests, blobs map[string][]byte // by digest

	challenge string // "" : everybody may read; else the WWW-Authenticate of a 401, with %s for the token server
	user      string // what the token server or Basic wants: user:password
	expiresIn int
	failing   bool   // 500 for what is no manifest, as Debian's registry, or for all of them
	cdn       string // where blobs are, if not here

	mu     sync.Mutex
	tokens int // given out
	valid  string
	answer string // of the token server, instead of a token
	status int    // of the token server, if not 200
	seen   []string
	auths  map[string]string // the last Authorization, by host
}

func newRegistry(manifest string, blob []byte) *fakeRegistry {
	r := &fakeRegistry{manifests: map[string][]byte{}, blobs: map[string][]byte{sha(blob): blob}, auths: map[string]string{}}
	if manifest != "" {
		r.manifests[sha([]byte(manifest))] = []byte(manifest)
	}
	return r
}

// manifestOf is a manifest as oras writes it.
func manifestOf(blob []byte) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/octet-stream",`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa3","size":2},`+
		`"layers":[{"mediaType":"application/octet-stream","digest":"%s","size":%d}]}`, sha(blob), len(blob))
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, what, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/v2/ipa/ramdisk"), "/"), "/")
	f.seen = append(f.seen, path)
	f.auths[r.Host] = r.Header.Get("Authorization")
	if r.Header.Get("Authorization") != "" {
		f.auths[path] = r.Header.Get("Authorization")
	}
	user, password, _ := r.BasicAuth()
	switch {
	case path == "token":
		if f.user != "" && f.user != user+":"+password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		f.tokens++
		f.valid = fmt.Sprintf("token-%d-%s-%s", f.tokens, r.FormValue("service"), r.FormValue("scope"))
		if f.status != 0 {
			w.WriteHeader(f.status)
		}
		if f.answer == "" {
			_ = json.NewEncoder(w).Encode(map[string]any{"token": f.valid, "expires_in": f.expiresIn})
		} else {
			_, _ = w.Write([]byte(f.answer))
		}
	case path == "cdn":
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.blobs[what]))
	case f.challenge != "" && r.Header.Get("Authorization") != "Bearer "+f.valid && (f.user == "" || f.user != user+":"+password):
		w.Header().Set("Www-Authenticate", strings.ReplaceAll(f.challenge, "%s", "http://"+r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	case path == "manifests" && f.failing:
		w.WriteHeader(http.StatusInternalServerError)
	case path == "manifests" && f.manifests[what] != nil:
		if !strings.Contains(r.Header.Get("Accept"), "application/vnd.oci.image.manifest.v1+json") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(f.manifests[what])
	case path == "blobs" && f.cdn != "" && f.blobs[what] != nil:
		w.Header().Set("Location", f.cdn+what)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case path == "blobs" && f.blobs[what] != nil:
		w.Header().Set("Etag", `"`+what+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.blobs[what]))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// asked returns how often each kind of thing was asked for, in the order of the first time.
func (f *fakeRegistry) asked() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := map[string]int{}
	var order []string
	for _, s := range f.seen {
		if count[s]++; count[s] == 1 {
			order = append(order, s)
		}
	}
	f.seen = nil
	for i, s := range order {
		order[i] = fmt.Sprintf("%s %d", s, count[s])
	}
	return strings.Join(order, ", ")
}

func (f *fakeRegistry) authorization(of string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.auths[of]
}

func (f *fakeRegistry) revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.valid = "none"
}

const wantsToken = `Bearer realm="%s/token",service="edge",scope="repository:ipa/ramdisk:pull"`

// serve starts the registry, and a client that may ask it by http.
func (f *fakeRegistry) serve(t *testing.T, change func(*Config, string)) (*httptest.Server, *Client) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	c := newClient(t, func(c *Config) {
		c.Allow, c.Registries = []string{server.URL}, map[string]Registry{host: {Plain: true}}
		if change != nil {
			change(c, host)
		}
	})
	return server, c
}

func blobOf(t testing.TB, c *Client, server *httptest.Server, digest string) *Blob {
	t.Helper()
	b, err := c.OCI("oci://" + strings.TrimPrefix(server.URL, "http://") + "/ipa/ramdisk@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTokenIsSharedUntilItExpires lets many ask at once, in a bubble in which time passes when it is told to.
func TestTokenIsSharedUntilItExpires(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expiresIn int
		life      time.Duration // for as long as it is used
	}{
		"a life of its own":    {600, 540 * time.Second},
		"the usual life":       {0, 54 * time.Second},
		"a life beyond belief": {1 << 40, 86400 * 9 / 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				blob := []byte("0123456789")
				f := newRegistry(manifestOf(blob), blob)
				f.challenge, f.expiresIn = wantsToken, tt.expiresIn
				c := newClient(t, func(c *Config) {
					c.Allow, c.Registries = []string{"http://registry.example"}, map[string]Registry{"registry.example": {Plain: true}}
				})
				c.transport = inProcess(f.ServeHTTP)
				b, err := c.OCI("oci://registry.example/ipa/ramdisk@" + sha([]byte(manifestOf(blob))))
				if err != nil {
					t.Fatal(err)
				}
				ask := func(want string) {
					t.Helper()
					var asking sync.WaitGroup
					for range 20 {
						asking.Go(func() {
							p, err := b.Open(t.Context(), cache.Ask{First: 2, Length: 3})
							if got, want := outcome(t, p, err), "206, 2+3 of 10: 234, ranges"; got != want {
								t.Errorf("Open = %s, want %s", got, want)
							}
						})
					}
					asking.Wait()
					if got := f.asked(); got != want {
						t.Errorf("asked %s, want %s", got, want)
					}
				}
				ask("manifests 2, token 1, blobs 20")
				time.Sleep(tt.life - time.Second)
				ask("blobs 20")
				time.Sleep(time.Second)
				ask("token 1, blobs 20")
				f.revoke() // before its time
				p, err := b.Open(t.Context(), cache.Ask{})
				if got, want := outcome(t, p, err), "200, 0+10 of 10: 0123456789, ranges"; got != want {
					t.Errorf("Open = %s, want %s", got, want)
				}
				if got, want := f.asked(), "blobs 3, token 1"; got != want {
					t.Errorf("asked %s, want %s", got, want)
				}
				if got, want := f.authorization("blobs"), "Bearer token-3-edge-repository:ipa/ramdisk:pull"; got != want {
					t.Errorf("asked with %s, want %s", got, want)
				}
			})
		})
	}
}

// inProcess is a transport without a network.
type inProcess http.HandlerFunc

func (f inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

func TestRegistryCredentials(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	for name, tt := range map[string]struct {
		challenge string
		registry  Registry
		want      string // of Open
		asked     string
		with      string // Authorization of the last request for the blob
	}{
		"token for a password": {wantsToken, Registry{Username: "edge", Password: "s3cret"},
			"200, 0+10 of 10: 0123456789, ranges", "manifests 2, token 1, blobs 1", "Bearer token-1-edge-repository:ipa/ramdisk:pull"},
		"token for another token": {wantsToken, Registry{Password: "pr3shared"},
			"200, 0+10 of 10: 0123456789, ranges", "manifests 2, token 1, blobs 1", "Bearer token-1-edge-repository:ipa/ramdisk:pull"},
		"scope of our own": {`Bearer realm="%s/token"`, Registry{Username: "edge", Password: "s3cret"},
			"200, 0+10 of 10: 0123456789, ranges", "manifests 2, token 1, blobs 1", "Bearer token-1--repository:ipa/ramdisk:pull"},
		"wrong password": {wantsToken, Registry{Username: "edge", Password: "wr0ng"},
			"refused 401: status 401 from the registry's token server", "manifests 1, token 1", ""},
		"no password": {wantsToken, Registry{},
			"refused 401: status 401 from the registry's token server", "manifests 1, token 1", ""},
		"basic": {`Basic realm="registry"`, Registry{Username: "edge", Password: "s3cret"},
			"200, 0+10 of 10: 0123456789, ranges", "manifests 2, blobs 1", "Basic ZWRnZTpzM2NyZXQ="},
		"basic, wrong password": {`Basic realm="registry"`, Registry{Username: "edge", Password: "wr0ng"},
			"refused 401: status 401", "manifests 2", ""},
		"basic, no password": {`Basic realm="registry"`, Registry{}, "refused 401: status 401", "manifests 1", ""},
		"either": {`Basic realm="registry", ` + wantsToken, Registry{Username: "edge", Password: "s3cret"},
			"200, 0+10 of 10: 0123456789, ranges", "manifests 2, token 1, blobs 1", "Bearer token-1-edge-repository:ipa/ramdisk:pull"},
		"neither":     {`Negotiate`, Registry{Username: "edge", Password: "s3cret"}, "refused 401: status 401", "manifests 1", ""},
		"in no words": {` `, Registry{Username: "edge", Password: "s3cret"}, "refused 401: status 401", "manifests 1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRegistry(manifestOf(blob), blob)
			f.challenge, f.user = tt.challenge, "edge:s3cret"
			if tt.registry.Password == "pr3shared" {
				f.user = ":pr3shared"
			}
			server, c := f.serve(t, func(c *Config, host string) {
				tt.registry.Plain = true
				c.Registries[host] = tt.registry
			})
			p, err := blobOf(t, c, server, sha([]byte(manifestOf(blob)))).Open(t.Context(), cache.Ask{})
			if got := outcome(t, p, err); got != tt.want {
				t.Errorf("Open = %s, want %s", got, tt.want)
			}
			var refused *cache.OriginError
			if errors.As(err, &refused) && strings.Contains(refused.Reason, "token server") && (refused.Header != nil || refused.Body != nil) {
				t.Error("what the token server says is passed on")
			}
			if got := f.asked(); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
			if got := f.authorization("blobs"); got != tt.with {
				t.Errorf("asked with %s, want %s", got, tt.with)
			}
		})
	}
}

func TestTokenServerAnswersBadly(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	const noToken = "refused 502: something else than a token from the registry's token server"
	for name, tt := range map[string]struct {
		status int
		answer string
		want   string
	}{
		"access_token":    {200, `{"access_token": "token"}`, "refused 401: status 401"}, // it is none of the registry's
		"no token":        {200, `{"expires_in": 60}`, noToken},
		"no JSON":         {200, "<html>s3cret", noToken},
		"a broken token":  {200, `{"token": "a\r\nX: s3cret"}`, noToken},
		"too much":        {200, `{"token": "` + strings.Repeat("a", maxToken) + `"}`, noToken},
		"no content":      {204, "", "refused 502: status 204 from the registry's token server"},
		"403":             {403, "s3cret", "refused 403: status 403 from the registry's token server"},
		"too many":        {429, "s3cret", "refused 429: status 429 from the registry's token server, temporary"},
		"not there today": {503, "s3cret", "refused 503: status 503 from the registry's token server, temporary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRegistry(manifestOf(blob), blob)
			f.challenge, f.status, f.answer = wantsToken, tt.status, tt.answer
			if f.status == 204 {
				f.answer = "{}"
			}
			server, c := f.serve(t, nil)
			p, err := blobOf(t, c, server, sha([]byte(manifestOf(blob)))).Open(t.Context(), cache.Ask{})
			if got := outcome(t, p, err); got != tt.want {
				t.Errorf("Open = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTokenServerMustBeAllowed(t *testing.T) {
	t.Parallel()
	https, plain := address{"https", "registry.example", "443"}, address{"http", "registry.example", "80"}
	for name, tt := range map[string]struct {
		at       address
		anyFirst bool
		realm    string
		want     string
	}{
		"allowed":         {https, false, "https://auth.example/token", ""},
		"not allowed":     {https, false, "https://evil.example/token", "a token server at evil.example (https), which Allow does not name"},
		"nor first":       {https, true, "https://evil.example/token", "a token server at evil.example (https), which Allow does not name"},
		"the registry":    {https, true, "https://registry.example/token", ""},
		"without TLS":     {https, false, "http://auth.example/token", "a token server without TLS, which the registry has"},
		"neither has TLS": {plain, false, "http://auth.example/token", ""},
		"TLS for one":     {plain, false, "https://auth.example/token", ""},
		"another scheme":  {https, false, "file:///etc/passwd", "a token server that is neither http nor https"},
		"no URL":          {https, false, "https://auth.example/%zz", "a token server whose URL cannot be read"},
		"relative":        {https, false, "/token", "a token server that is neither http nor https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, func(c *Config) { c.Allow, c.AnyFirst = []string{"auth.example"}, tt.anyFirst })
			s, err := c.tokenServer(repository{tt.at, "ipa"}, challenge{"bearer", map[string]string{"realm": tt.realm + "?a=b", "service": "x y"}}, "Basic s3cret")
			if tt.want == "" {
				if err != nil || s.url.RawQuery != "a=b&scope=repository%3Aipa%3Apull&service=x+y" || s.header.Get("Authorization") != "Basic s3cret" {
					t.Errorf("tokenServer = %v, %v", s, err)
				}
				return
			}
			if got, want := outcome(t, nil, err), "refused 502: "+tt.want; got != want {
				t.Errorf("tokenServer = %s, want %s", got, want)
			}
		})
	}
}

func TestRegistriesRefuse(t *testing.T) {
	t.Parallel()
	for host, registry := range map[string]Registry{
		"":                         {},
		"https://registry.example": {},
		"registry.example/ipa":     {},
		"registry.example/":        {},
		"*.example":                {},
		"registry.example:0":       {},
		"u:p@registry.example":     {},
		"registry.example":         {Username: "edge"},
	} {
		_, err := New(Config{Registries: map[string]Registry{host: registry}})
		var bad *ConfigError
		if !errors.As(err, &bad) || bad.Field != "Registries" || bad.Value != host {
			t.Errorf("New with registry %q = %v, want an error about it", host, err)
		}
	}
}
