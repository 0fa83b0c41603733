// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/origin"
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

// TestPermits has a client's signature, which its origin takes, then does not, and then cannot be asked about.
func TestPermits(t *testing.T) {
	t.Parallel()
	var refuses atomic.Bool
	var asked atomic.Int64
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1); refuses.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(storage.Close)
	client, err := origin.New(origin.Config{Allow: []string{storage.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	url := storage.URL + "/k?sig=s3cret"
	source, err := client.Source(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := permits{until: make(map[string]time.Time)}
	for i := range maxPermits {
		p.until[strconv.Itoa(i)] = time.Now().Add(time.Hour)
	}
	image := &signedImage{source: source, url: url, client: true, permits: &p}
	for range 3 {
		if err := p.check(t.Context(), image); err != nil {
			t.Fatal(err)
		}
	}
	if until := p.until[url]; asked.Load() != 1 || len(p.until) > maxPermits || until.After(time.Now().Add(time.Minute)) {
		t.Errorf("asked %d times, %d are remembered, this one until %v", asked.Load(), len(p.until), until)
	}
	past := func() { p.until[url] = time.Now().Add(-time.Second) }
	past()
	refuses.Store(true)
	for range 2 {
		if err := p.check(t.Context(), image); err == nil {
			t.Error("what its origin does not take any more is taken")
		}
	}
	good := *image
	good.url, good.source = url+"&n=2", source
	refuses.Store(false)
	if err := p.check(t.Context(), &good); err != nil {
		t.Fatal(err)
	}
	p.until[good.url] = time.Now().Add(-time.Second)
	storage.Close()
	if err := p.check(t.Context(), &good); err != nil {
		t.Errorf("what was taken last, while the origin is gone: %v", err)
	}
	if err := p.check(t.Context(), image); err == nil {
		t.Error("what was refused last is taken while the origin is gone")
	}
}
