// SPDX-License-Identifier: Apache-2.0

//go:build integration

package references

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

const (
	registryUser, registryPassword = "edge", "s3cret"
	// What `htpasswd -Bbn edge s3cret` prints.
	htpasswd = "edge:$2y$05$EAJxbOWA0DPYnf9Rjbw5repBtFRsWtAA/gm2P2hvfQvSsBVkRbWgu\n"
)

// tokenServer gives out the tokens that Debian's registry wants: JSON Web Tokens with the chain of the key's certificate.
type tokenServer struct {
	*httptest.Server
	key    *ecdsa.PrivateKey
	cert   []byte // DER
	issued atomic.Int32
}

func startTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokens"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := &tokenServer{key: key, cert: cert}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != registryUser || password != registryPassword {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.issued.Add(1)
		token, err := s.token(r.FormValue("service"), r.FormValue("scope"))
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
	}))
	t.Cleanup(s.Close)
	return s
}

// token is one for a scope such as repository:ipa:pull,push.
func (s *tokenServer) token(service, scope string) (string, error) {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	access := strings.Split(scope, ":")
	if len(access) != 3 {
		return "", fmt.Errorf("scope %q", scope)
	}
	now := time.Now().Unix()
	signed := part(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.cert)}}) + "." +
		part(map[string]any{"iss": "tests", "sub": registryUser, "aud": service, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": fmt.Sprint(s.issued.Load()),
			"access": []any{map[string]any{"type": access[0], "name": access[1], "actions": strings.Split(access[2], ",")}}})
	sum := sha256.Sum256([]byte(signed))
	r, w, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	w.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// startRegistry runs Debian's registry with an auth section, and returns its host.
func startRegistry(t *testing.T, auth func(dir string) []string) string {
	t.Helper()
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir, host := t.TempDir(), "127.0.0.1:"+port
	lines := []string{"version: 0.1", "log: {level: warn}", "storage: {filesystem: {rootdirectory: " + dir + "/store}}",
		"http: {addr: '" + host + "', secret: tests}"}
	conf := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(conf, []byte(strings.Join(append(lines, auth(dir)...), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(exec.Command("/usr/bin/docker-registry", "serve", conf), dir+"/output")
	if err != nil {
		t.Fatalf("run integration/install.d/registry.sh: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(dir + "/output")
			t.Log(daemon.Tail(string(text)))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := d.WaitUntil(ctx, func() bool {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}); err != nil {
		t.Fatalf("start the registry: %v", err)
	}
	return host
}

// push puts something into the registry.
func push(t *testing.T, method, to, authorization, mediaType string, body []byte, want int) http.Header {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: status %d, %v: %s", method, to, resp.StatusCode, err, text)
	}
	return resp.Header
}

func sha(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// pushImage makes a repository with an image of one file, as oras does, and returns its manifest's digest.
func pushImage(t *testing.T, host, name, authorization string, blob []byte) string {
	t.Helper()
	const empty = "{}"
	for _, b := range [][]byte{blob, []byte(empty)} {
		location := push(t, http.MethodPost, "http://"+host+"/v2/"+name+"/blobs/uploads/", authorization, "", nil, http.StatusAccepted).Get("Location")
		push(t, http.MethodPut, location+"&digest="+url.QueryEscape(sha(b)), authorization, "application/octet-stream", b, http.StatusCreated)
	}
	const mediaType = "application/vnd.oci.image.manifest.v1+json"
	manifest := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/octet-stream",`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},`+
		`"layers":[{"mediaType":"application/octet-stream","digest":%q,"size":%d}]}`, mediaType, sha([]byte(empty)), sha(blob), len(blob)))
	push(t, http.MethodPut, "http://"+host+"/v2/"+name+"/manifests/latest", authorization, mediaType, manifest, http.StatusCreated)
	return sha(manifest)
}

func TestRegistry(t *testing.T) {
	const name = "ipa/ramdisk"
	blob := make([]byte, 5<<20+17) // larger than a manifest may be
	_, _ = rand.Read(blob)
	tokens := startTokenServer(t)
	pushToken, err := tokens.token("edge-registry", "repository:"+name+":pull,push")
	if err != nil {
		t.Fatal(err)
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(registryUser+":"+registryPassword))
	for kind, tt := range map[string]struct {
		auth   func(dir string) []string
		pusher string
		wrong  string // what becomes of a wrong password
	}{
		"for everybody": {func(string) []string { return nil }, "", ""},
		"basic": {func(dir string) []string {
			file := filepath.Join(dir, "htpasswd")
			if err := os.WriteFile(file, []byte(htpasswd), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"auth: {htpasswd: {realm: tests, path: " + file + "}}"}
		}, basic, "status 401"},
		"tokens": {func(dir string) []string {
			file := filepath.Join(dir, "cert.pem")
			if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tokens.cert}), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"auth: {token: {realm: '" + tokens.URL + "/token', service: edge-registry, issuer: tests, rootcertbundle: " + file + "}}"}
		}, "Bearer " + pushToken, "status 401 from the registry's token server"},
	} {
		t.Run(kind, func(t *testing.T) {
			host := startRegistry(t, tt.auth)
			manifest := pushImage(t, host, name, tt.pusher, blob)
			client := func(password string) *origin.Client {
				t.Helper()
				c, err := origin.New(origin.Config{Allow: []string{"http://" + host, tokens.URL},
					Registries: map[string]origin.Registry{host: {Plain: true, Username: registryUser, Password: password}}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			c := client(registryPassword)
			before := tokens.issued.Load()
			testBlob(t, c, "oci://"+host+"/"+name+"@"+manifest, blob, int64(len(blob)))
			testBlob(t, c, "oci://"+host+"/"+name+":latest@"+sha(blob), blob, int64(len(blob)))
			testBlob(t, c, "oci://"+host+"/"+name+"@"+sha([]byte("{}")), []byte("{}"), 2)
			if got := tokens.issued.Load() - before; got > 1 {
				t.Errorf("%d tokens, want one for all", got)
			}
			refusal(t, c, "oci://"+host+"/"+name+"@"+sha(nil), http.StatusNotFound, "status 404")
			if tt.wrong != "" {
				refusal(t, client("wr0ng"), "oci://"+host+"/"+name+"@"+manifest, http.StatusUnauthorized, tt.wrong)
			}
		})
	}
}

func testBlob(t *testing.T, c *origin.Client, ref string, blob []byte, size int64) {
	t.Helper()
	b, err := c.OCI(ref)
	if err != nil {
		t.Fatal(err)
	}
	content, err := b.Content(t.Context())
	if err != nil || content.Digest.String() != sha(blob) || content.Size != size {
		t.Errorf("%s: Content = %v, %v", ref, content, err)
	}
	for _, ask := range []cache.Ask{{}, {First: int64(len(blob)) / 3, Length: int64(len(blob)) / 3}, {First: int64(len(blob)) - 1}} {
		p, err := b.Open(t.Context(), ask)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		got, err := io.ReadAll(p.Body)
		p.Body.Close()
		if err != nil || p.First != ask.First || !bytes.Equal(got, blob[p.First:p.First+p.Length]) || p.Length != ask.Length && ask.Length > 0 {
			t.Errorf("%s: %d bytes from %d, %v", ref, len(got), p.First, err)
		}
		if !p.Ranges || !p.Validator.Strong() || p.Size != int64(len(blob)) {
			t.Errorf("%s: ranges %t, validator %v, size %d", ref, p.Ranges, p.Validator, p.Size)
		}
	}
}

func refusal(t *testing.T, c *origin.Client, ref string, status int, reason string) {
	t.Helper()
	b, err := c.OCI(ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Open(t.Context(), cache.Ask{})
	var refused *cache.OriginError
	if !errors.As(err, &refused) || refused.Status != status || refused.Reason != reason {
		t.Errorf("Open of %s = %v, want %s", ref, err, reason)
	}
}
