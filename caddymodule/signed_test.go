// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestSignedMirror has clients ask a mirror by URLs that are signed, as Azure does it, and in a way that nobody knows.
func TestSignedMirror(t *testing.T) {
	t.Parallel()
	content := image(100_000)
	var whole atomic.Int64
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if !strings.HasPrefix(query.Get("sig")+query.Get("token"), "s3cret") || r.Method != http.MethodGet {
			http.Error(w, "signature", http.StatusForbidden)
			return
		}
		if r.Header.Get("Range") != "bytes=0-0" { // which asks for the right only
			whole.Add(1)
		}
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(storage.Close)
	api := ironictest.Start()
	t.Cleanup(api.Close)
	e := newEdgeBefore(t, api, func(h *Handler) {
		h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)}
		h.Mirrors = []Mirror{{Prefix: "/blobs/", Origin: storage.URL + "/blobs"}}
	})
	withStore(t, e)
	azure := func(sig string) string { return "/blobs/k?sv=2022-11-02&se=2999-01-01&sp=r&sig=" + sig }
	for path, status := range map[string]int{
		azure("s3cret-a"): 200, azure("s3cret-b"): 200, azure("guess"): 403,
		"/blobs/k?sv=2022-11-02&se=2001-01-01&sig=s3cret": 403, // has run out
		"/blobs/k?token=s3cret":                           200,
		"/blobs/k?token=guess":                            403,
	} {
		got := e.get(t, path)
		if got.status != status || status == 200 && got.body != string(content) {
			t.Errorf("%s: %d with %d bytes, want %d", path, got.status, len(got.body), status)
		}
	}
	if got := e.ask(t, http.MethodHead, azure("s3cret-c")); got.status != http.StatusOK {
		t.Errorf("HEAD by a signature for GET: %d", got.status)
	}
	if n := whole.Load(); n != 2 {
		t.Errorf("the content was fetched %d times, want once for all signatures that are known and once for the other", n)
	}
	storage.Close()
	for path, status := range map[string]int{azure("s3cret-a"): 200, azure("another-guess"): 503} {
		if got := e.get(t, path); got.status != status {
			t.Errorf("while the origin is gone %s: %d, want %d", path, got.status, status)
		}
	}
	for key := range e.handler.storage.store.Keys() {
		if strings.Contains(key, "s3cret") {
			t.Errorf("the store has the key %q", key)
		}
	}
}
