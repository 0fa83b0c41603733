// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestReferences has nodes whose images are in Glance, in an OCI registry, and behind signed URLs.
func TestReferences(t *testing.T) {
	content := image(2<<20 + 3)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	var withdrawn, refuses atomic.Bool
	var described atomic.Int64
	serve := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
	const id = "0d2f8a3c-5b1e-4c7d-9e6f-1a2b3c4d5e6f"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/images/"+id, func(w http.ResponseWriter, r *http.Request) {
		described.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id": %q, "status": "active", "size": %d, "os_hash_algo": "sha256", "os_hash_value": %q}`, id, len(content), digest)
	})
	mux.HandleFunc("GET /v2/images/"+id+"/file", func(w http.ResponseWriter, r *http.Request) {
		if refuses.Swap(false) { // a token that was good when the image was described
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serve(w, r)
	})
	const other = "0d2f8a3c-5b1e-4c7d-9e6f-1a2b3c4d5e70"
	otherContent := bytes.Repeat([]byte("other"), len(content)/5+1)[:len(content)]
	mux.HandleFunc("GET /v2/images/"+other, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id": %q, "status": "active", "size": %d}`, other, len(otherContent))
	})
	const wrong = "0d2f8a3c-5b1e-4c7d-9e6f-1a2b3c4d5e71"
	mux.HandleFunc("GET /v2/images/"+wrong, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id": %q, "status": "active", "size": %d, "os_hash_algo": "sha256", "os_hash_value": %q}`, wrong, len(content), strings.Repeat("0", 64))
	})
	for _, id := range []string{other, wrong} {
		mux.HandleFunc("GET /v2/images/"+id+"/file", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(otherContent))
		})
	}
	mux.HandleFunc("GET /v2/rack/agent/blobs/sha256:"+digest, serve)
	mux.HandleFunc("GET /v2/rack/agent/manifests/sha256:"+digest, http.NotFound)
	mux.HandleFunc("GET /v1/AUTH_a/images/agent", func(w http.ResponseWriter, r *http.Request) {
		if withdrawn.Load() || r.URL.Query().Get("temp_url_sig") == "" {
			http.Error(w, "signature", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Etag", `"agent"`)
		serve(w, r)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	signed := func(sig string, expires time.Time) string {
		return fmt.Sprintf("%s/v1/AUTH_a/images/agent?temp_url_sig=%s&temp_url_expires=%d", server.URL, strings.Repeat(sig, 20), expires.Unix())
	}
	soon := time.Now().Add(time.Hour)
	refs := []string{id, "glance://" + id, "oci://" + host + "/rack/agent@sha256:" + digest, signed("ab", soon), signed("cd", soon), signed("ef", time.Now().Add(-time.Hour)), other, wrong}
	var nodes []ironictest.Node
	for i, ref := range refs {
		nodes = append(nodes, ironictest.Node{UUID: nodeUUID(i + 1), ProvisionState: "deploying", DriverInfo: map[string]any{"deploy_kernel": ref, "deploy_ramdisk": ref}})
	}
	api := ironictest.Start(nodes...)
	defer api.Close()
	address := freeAddress(t)
	config := siteConfig(address, api.URL+" {\n\t\t\tglance "+server.URL+"\n\t\t}", "store "+filepath.Join(t.TempDir(), "s")+" {\n\t\t\tmin_free 0\n\t\t}",
		"registry "+host+" {\n\t\t\tplain\n\t\t}")
	config = config[:strings.Index(config, "\treverse_proxy")] + "}\n"
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	get := func(n int) (*http.Response, []byte) {
		return download(t, "http://"+address+"/"+nodeUUID(n)+"/deploy_ramdisk")
	}
	refuses.Store(true)
	for n := 1; n <= 5; n++ {
		if r, got := get(n); r.StatusCode != 200 || !bytes.Equal(got, content) {
			t.Errorf("%s: %s, %d bytes, %s", refs[n-1], r.Status, len(got), r.Header.Get(reasonHeader))
		}
	}
	if n := described.Load(); n != 2 || refuses.Load() {
		t.Errorf("Glance was asked %d times about an image, want again when it had refused it", n)
	}
	if r, got := get(7); r.StatusCode != 200 || !bytes.Equal(got, otherContent) {
		t.Errorf("%s: %s, %d bytes, %s", refs[6], r.Status, len(got), r.Header.Get(reasonHeader))
	}
	if response, err := http.Get("http://" + address + "/" + nodeUUID(8) + "/deploy_ramdisk"); err == nil {
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil || len(got) >= len(content) {
			t.Errorf("what does not match Glance's hash: %s, %d bytes, %v", response.Status, len(got), err)
		}
	}
	if r, _ := get(6); r.StatusCode != http.StatusForbidden || r.Header.Get(reasonHeader) != reasonOrigin {
		t.Errorf("a signature that has run out: %s %s", r.Status, r.Header.Get(reasonHeader))
	}
	withdrawn.Store(true)
	if r, _ := get(4); r.StatusCode != 200 {
		t.Errorf("a signature that was good a moment ago: %s", r.Status)
	}
}
