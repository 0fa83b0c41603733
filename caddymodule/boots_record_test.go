// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestClientAddress takes the address that Caddy trusts, and one form of it.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{"10.1.2.3:5": "10.1.2.3", "[::ffff:10.1.2.3]:5": "10.1.2.3", "[fd00::1]:5": "fd00::1"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if r.RemoteAddr = remote; clientAddress(r) != netip.MustParseAddr(want) {
			t.Errorf("%s: %s, want %s", remote, clientAddress(r), want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if r.RemoteAddr = "@"; clientAddress(r).IsValid() {
		t.Error("a socket without an address has one")
	}
}

// TestCountingWriterCountsWhatWentOut breaks a connection in the middle of a reader.
func TestCountingWriterCountsWhatWentOut(t *testing.T) {
	t.Parallel()
	w := &countingWriter{ResponseWriter: &brokenWriter{httptest.NewRecorder(), 100 << 10}}
	_, err := io.Copy(w, io.LimitReader(bytes.NewReader(image(1<<20)), 1<<20))
	if err == nil || w.n.Load() != 100<<10 {
		t.Errorf("%d bytes are counted, %v; want %d", w.n.Load(), err, 100<<10)
	}
}

// brokenWriter takes so many bytes.
type brokenWriter struct {
	http.ResponseWriter
	left int
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	if w.left -= n; n < len(p) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

// BenchmarkScriptHit is a request for a script of a node that is known, timeline included.
func BenchmarkScriptHit(b *testing.B) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	h := &Handler{Ironic: Ironic{URL: api.URL}, PublicURL: "http://edge.test:8080", NodeTTL: caddy.Duration(time.Hour)}
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		b.Fatal(err)
	}
	if err := h.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = h.Cleanup() }()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/pxelinux.cfg/"+nodeMAC(2), nil)
	r.Header.Set("User-Agent", "iPXE/1.21.1+")
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		_ = h.ServeHTTP(w, r, nil)
	}
}

// discard is a client without a wire.
type discard struct{ header http.Header }

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }
func (w *discard) WriteHeader(int)             {}

// TestLoopIsNoRefusal is about a script that was given although the node loops.
func TestLoopIsNoRefusal(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	for _, tt := range []struct {
		kind    string
		refused int
	}{{"deploy", 0}, {"", 1}} {
		w := httptest.NewRecorder()
		w.Header().Set(reasonHeader, reasonLoop)
		r := httptest.NewRequest(http.MethodGet, "/pxelinux.cfg/"+nodeMAC(3), nil)
		r.Header.Set("User-Agent", "iPXE/1.21.1")
		node, err := e.handler.client.NodeByUUID(t.Context(), nodeUUID(3))
		if err != nil {
			t.Fatal(err)
		}
		asked := scriptAsked(r, macKey("52:54:00:17:00:03"))
		scriptFor(&asked, node)
		asked.Kind = tt.kind
		e.handler.scriptAnswered(w, r, &asked)
		if b := stageOf(e, nodeUUID(3)); b.Refusals != tt.refused {
			t.Errorf("kind %q: %d refusals, want %d", tt.kind, b.Refusals, tt.refused)
		}
	}
}
