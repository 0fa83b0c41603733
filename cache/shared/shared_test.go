// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

const testBlock = 4096

// edge is a cache before an origin, and a server before the cache.
type edge struct {
	*Cache
	store    *disk.Store
	target   Target
	server   *httptest.Server
	origin   *httptest.Server
	requests atomic.Int32 // to the origin
	bytes    atomic.Int64 // from it
}

func newEdge(t *testing.T, handler http.HandlerFunc, change ...func(*Target)) *edge {
	t.Helper()
	e := new(edge)
	e.origin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.requests.Add(1)
		handler(&countingWriter{w, &e.bytes}, r)
	}))
	var err error
	e.store, err = disk.Open(t.TempDir(), disk.Options{MaxSize: 1 << 28, Block: testBlock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e.Cache = New(e.store)
	client, err := origin.New(origin.Config{Allow: []string{e.origin.URL}})
	if err != nil {
		t.Fatal(err)
	}
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := e.target
		target.Key = r.URL.Path
		target.URL, _ = url.Parse(e.origin.URL + r.URL.Path)
		source, err := client.Source(target.URL.String(), nil)
		if err != nil {
			t.Error(err)
		}
		target.Upstream = source
		for _, c := range change {
			c(&target)
		}
		err = e.Serve(w, r, &target)
		var failure *Failure
		if errors.As(err, &failure) {
			http.Error(w, failure.Reason, failure.Status)
		}
	}))
	t.Cleanup(func() {
		e.server.Close()
		e.Cache.Close()
		if err := e.store.Close(); err != nil {
			t.Error(err)
		}
		e.origin.CloseClientConnections()
		e.origin.Close()
	})
	return e
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// content serves bytes with a tag.
func content(b []byte, tag string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", tag)
		w.Header().Set("Content-Type", "application/octet-stream")
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

func testBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// get asks the edge.
func (e *edge) get(t *testing.T, path string, fields ...string) (*http.Response, []byte) {
	t.Helper()
	method := http.MethodGet
	if p, ok := strings.CutPrefix(path, "HEAD "); ok {
		method, path = http.MethodHead, p
	}
	r, err := http.NewRequestWithContext(t.Context(), method, e.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s: the body ends after %d bytes: %v", path, len(body), err)
	}
	return response, body
}

func TestOnceForAll(t *testing.T) {
	t.Parallel()
	want := testBytes(50*testBlock + 13)
	e := newEdge(t, content(want, `"1"`, "Cache-Control: max-age=60"))
	var clients sync.WaitGroup
	for range 40 {
		clients.Go(func() {
			if _, got := e.get(t, "/k"); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want the origin's %d", len(got), len(want))
			}
		})
	}
	clients.Wait()
	if n := e.bytes.Load(); n != int64(len(want)) {
		t.Errorf("%d bytes came from the origin for an object of %d", n, len(want))
	}
	r, got := e.get(t, "/k", "Range: bytes=5000-5009")
	if r.StatusCode != http.StatusPartialContent || !bytes.Equal(got, want[5000:5010]) || !strings.Contains(r.Header.Get("Cache-Status"), "hit") {
		t.Errorf("%s, %d bytes, %s", r.Status, len(got), r.Header.Get("Cache-Status"))
	}
	if r, got := e.get(t, "HEAD /k"); r.ContentLength != int64(len(want)) || len(got) != 0 {
		t.Errorf("HEAD tells of %d bytes, want %d", r.ContentLength, len(want))
	}
	if r, _ := e.get(t, "/k", `If-None-Match: "1"`); r.StatusCode != http.StatusNotModified {
		t.Errorf("status %s, want 304", r.Status)
	}
}

func TestColdRange(t *testing.T) {
	t.Parallel()
	want := testBytes(100 * testBlock)
	e := newEdge(t, content(want, `"1"`))
	r, got := e.get(t, "/k", fmt.Sprintf("Range: bytes=%d-%d", 70*testBlock+1, 70*testBlock+10))
	if r.StatusCode != http.StatusPartialContent || !bytes.Equal(got, want[70*testBlock+1:70*testBlock+11]) {
		t.Errorf("%s, %d bytes", r.Status, len(got))
	}
	if _, got := e.get(t, "/k"); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want the origin's %d", len(got), len(want))
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	want := testBytes(3 * testBlock)
	var down atomic.Bool
	serve := content(want, `"1"`, "Cache-Control: max-age=0")
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
			return
		}
		serve(w, r)
	})
	e.target.Policy = rules.Policy{Stale: time.Hour}
	e.get(t, "/k")
	before := e.bytes.Load()
	r, got := e.get(t, "/k")
	if !bytes.Equal(got, want) || e.bytes.Load() != before || !strings.Contains(r.Header.Get("Cache-Status"), "fwd-status=304") {
		t.Errorf("%d bytes more came from the origin; %s", e.bytes.Load()-before, r.Header.Get("Cache-Status"))
	}
	down.Store(true)
	r, got = e.get(t, "/k")
	if r.StatusCode != http.StatusOK || !bytes.Equal(got, want) || !strings.Contains(r.Header.Get("Cache-Status"), "origin-failed") {
		t.Errorf("while the origin is down: %s, %s", r.Status, r.Header.Get("Cache-Status"))
	}
	if r, _ := e.get(t, "/other"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("what was never there: %s, want the origin's 503", r.Status)
	}
}

// TestOneContent is about many URLs of one file, as a conductor's are.
func TestOneContent(t *testing.T) {
	t.Parallel()
	want := testBytes(50 * testBlock)
	e := newEdge(t, content(want, `"1"`, "Cache-Control: max-age=60"), func(target *Target) { target.Kin = "images" })
	e.get(t, "/node1")
	before := e.bytes.Load()
	for i := range 10 {
		if _, got := e.get(t, fmt.Sprintf("/node1%d", i)); !bytes.Equal(got, want) {
			t.Fatal("other bytes")
		}
	}
	if more := e.bytes.Load() - before; more > 11*firstBlocks*testBlock { // the last bytes of the first may be counted late
		t.Errorf("%d bytes came for what is there", more)
	}
	if s := e.store.Stats(); s.Objects != 1 {
		t.Errorf("%d objects are kept, want one", s.Objects)
	}
}

func TestNotKept(t *testing.T) {
	t.Parallel()
	want := testBytes(30 * testBlock)
	e := newEdge(t, content(want, `"1"`, "Cache-Control: no-store"))
	for range 2 {
		if _, got := e.get(t, "/k"); !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want the origin's %d", len(got), len(want))
		}
		if r, got := e.get(t, "/k", "Range: bytes=50000-50009"); r.StatusCode != http.StatusPartialContent || !bytes.Equal(got, want[50000:50010]) {
			t.Errorf("%s, %d bytes", r.Status, len(got))
		}
	}
	if s := e.store.Stats(); s.Objects != 0 {
		t.Errorf("%d objects are kept", s.Objects)
	}
}

// TestSanboot has a client in the middle of an object whose origin then has another one.
func TestSanboot(t *testing.T) {
	t.Parallel()
	old, changed := testBytes(5*testBlock), bytes.Repeat([]byte("new!"), 5*testBlock/4)
	var now atomic.Pointer[http.HandlerFunc]
	first := content(old, `"1"`, "Cache-Control: max-age=0")
	now.Store(&first)
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) { (*now.Load())(w, r) })
	e.get(t, "HEAD /iso")
	_, got := e.get(t, "/iso", "Range: bytes=0-511")
	second := content(changed, `"2"`, "Cache-Control: max-age=0")
	now.Store(&second)
	_, more := e.get(t, "/iso", "Range: bytes=512-1023")
	if !bytes.Equal(append(got, more...), old[:1024]) {
		t.Error("a client in the middle of an object gets bytes of another")
	}
	e.get(t, "HEAD /iso")
	if _, got := e.get(t, "/iso", "Range: bytes=0-511"); !bytes.Equal(got, changed[:512]) {
		t.Error("a client that begins anew gets the old object")
	}
}
