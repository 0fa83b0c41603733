// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// newStoredEdge is an edge with a store.
func newStoredEdge(t *testing.T, api *ironictest.Server, options func(*Handler)) *edge {
	t.Helper()
	e := newEdgeBefore(t, api, func(h *Handler) {
		h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)}
		if options != nil {
			options(h)
		}
	})
	withStore(t, e)
	return e
}

// TestStoredOriginFaults lets an origin misbehave before a store: what is no image is refused, counted, and not kept.
func TestStoredOriginFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		origin http.HandlerFunc
		status int
	}{
		"not there": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 404},
		"error":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 502},
		"web page":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><p>Welcome") }, 502},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "x")
		}, 502},
		"another range": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-6/9")
			w.WriteHeader(206)
			io.WriteString(w, "xx")
		}, 502},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := httptest.NewServer(tt.origin)
			t.Cleanup(origin.Close)
			api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
			t.Cleanup(api.Close)
			e := newStoredEdge(t, api, nil)
			counter := e.handler.metrics.images.WithLabelValues("deploy_kernel", "failed")
			before := counted(t, counter)
			got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel")
			if got.status != tt.status || got.header.Get(reasonHeader) != reasonOrigin {
				t.Errorf("status %d, reason %q; want %d, %q", got.status, got.header.Get(reasonHeader), tt.status, reasonOrigin)
			}
			if counted(t, counter) <= before {
				t.Error("it is not counted")
			}
			if keys := e.handler.storage.store.Keys(); len(keys) > 0 {
				t.Errorf("the store has %v", keys)
			}
		})
	}
}

// mirrored asks a mirror, whose answers may be cut, and be nothing then.
func mirrored(t *testing.T, e *edge, path string) (status int, body []byte, whole bool) {
	t.Helper()
	response, err := http.Get(e.URL + path)
	if err != nil {
		return 0, nil, false
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err == nil
}

// TestMirrorSums has two files of which the configuration knows the sums, one of them wrong.
func TestMirrorSums(t *testing.T) {
	t.Parallel()
	content := image(100_000)
	sum := sha256.Sum256(content)
	origin := newImageServer(t, content)
	api := ironictest.Start()
	t.Cleanup(api.Close)
	e := newStoredEdge(t, api, func(h *Handler) {
		h.Mirrors = []Mirror{{Prefix: "/x/", Origin: origin.URL, SHA256: map[string]string{
			"good": hex.EncodeToString(sum[:]), "/deep/bad": strings.Repeat("0", 64)}}}
	})
	for range 2 {
		if status, got, whole := mirrored(t, e, "/x/good"); status != http.StatusOK || !whole || !bytes.Equal(got, content) {
			t.Errorf("what has its sum: %d, %d bytes, whole: %t", status, len(got), whole)
		}
		if _, got, whole := mirrored(t, e, "/x/deep/bad"); whole || len(got) >= len(content) {
			t.Errorf("what has another sum: %d bytes, whole: %t", len(got), whole)
		}
	}
}

// TestMirrorAlias has an origin of which all files have one tag. With alias they are one copy; without, each is its own.
func TestMirrorAlias(t *testing.T) {
	t.Parallel()
	for _, alias := range []bool{false, true} {
		content := image(100_000)
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			b := content
			if !alias && r.URL.Path == "/b" {
				b = bytes.ToUpper(bytes.Repeat([]byte("b"), len(content)))
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		}))
		t.Cleanup(origin.Close)
		api := ironictest.Start()
		t.Cleanup(api.Close)
		e := newStoredEdge(t, api, func(h *Handler) { h.Mirrors = []Mirror{{Prefix: "/x/", Origin: origin.URL, Alias: alias}} })
		_, a, _ := mirrored(t, e, "/x/a")
		_, b, _ := mirrored(t, e, "/x/b")
		if !bytes.Equal(a, content) || bytes.Equal(a, b) != alias || len(b) != len(content) {
			t.Errorf("alias %t: %d and %d bytes, equal: %t", alias, len(a), len(b), bytes.Equal(a, b))
		}
		if n := e.handler.storage.store.Stats().Objects; n != map[bool]int64{false: 2, true: 1}[alias] {
			t.Errorf("alias %t: %d objects", alias, n)
		}
	}
}

// TestMirrorRedirects has a mirror's origin redirect to servers that the configuration names: for images, for another
// mirror, and for all.
func TestMirrorRedirects(t *testing.T) {
	t.Parallel()
	other, allowed := newImageServer(t, image(100)), newImageServer(t, image(100))
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, map[string]string{"/other": other.URL, "/allowed": allowed.URL}[r.URL.Path], http.StatusFound)
	}))
	t.Cleanup(origin.Close)
	api := ironictest.Start()
	t.Cleanup(api.Close)
	e := newStoredEdge(t, api, func(h *Handler) {
		h.Mirrors = []Mirror{{Prefix: "/x/", Origin: origin.URL}, {Prefix: "/y/", Origin: other.URL}}
		h.ConductorHTTP, h.AllowOrigins = other.URL, []string{allowed.URL}
	})
	if status, _, _ := mirrored(t, e, "/x/allowed"); status != http.StatusOK {
		t.Errorf("to one of allow_origins: %d", status)
	}
	if status, _, _ := mirrored(t, e, "/x/other"); status != http.StatusBadGateway || other.requests.Load() > 0 {
		t.Errorf("to another mirror's origin: %d, which was asked %d times", status, other.requests.Load())
	}
}

// TestOneCopyOfTheConductors has nodes without references, for each of which the conductor has a link to one file.
func TestOneCopyOfTheConductors(t *testing.T) {
	t.Parallel()
	content := image(1 << 20)
	conductor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Now().Add(-time.Hour), bytes.NewReader(content))
	}))
	t.Cleanup(conductor.Close)
	var nodes []ironictest.Node
	for i := range 5 {
		nodes = append(nodes, ironictest.Node{UUID: nodeUUID(i + 1), ProvisionState: "deploying"})
	}
	api := ironictest.Start(nodes...)
	t.Cleanup(api.Close)
	e := newStoredEdge(t, api, func(h *Handler) { h.ConductorHTTP = conductor.URL })
	for i := range nodes {
		if got := e.get(t, "/"+nodeUUID(i+1)+"/deploy_ramdisk"); got.status != http.StatusOK || got.body != string(content) {
			t.Errorf("%d, %d bytes", got.status, len(got.body))
		}
	}
	if n := e.handler.storage.store.Stats().Objects; n != 1 {
		t.Errorf("%d objects for one file, want one", n)
	}
}
