// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// discards is a client's connection that costs nothing.
type discards struct {
	header http.Header
	n      int
}

func (d *discards) Header() http.Header { return d.header }
func (d *discards) WriteHeader(int)     {}
func (d *discards) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

// BenchmarkRange is what a machine that boots from an ISO asks for, thousands of times: 16 KiB of a file of a mirror that
// is in the store.
func BenchmarkRange(b *testing.B) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=86400")
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
	}))
	b.Cleanup(files.Close)
	h := &Handler{Ironic: Ironic{URL: "http://127.0.0.1:1"}, Store: &Store{Directory: b.TempDir(), MinFree: new(int64)},
		Mirrors: []Mirror{{Prefix: "/files/", Origin: files.URL}}}
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := h.Cleanup(); err != nil {
			b.Error(err)
		}
	})
	if err := h.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	if err := h.startStore(slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	ask := func(field string) int {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/files/iso", nil)
		r.Header.Set("User-Agent", "iPXE/1.21.1")
		if field != "" {
			r.Header.Set("Range", field)
		}
		w := &discards{header: make(http.Header)}
		if err := h.ServeHTTP(w, r, next); err != nil {
			b.Fatal(err)
		}
		return w.n
	}
	if n := ask(""); n != len(content) {
		b.Fatalf("%d bytes of %d", n, len(content))
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := ask("bytes=65536-81919"); n != 16<<10 {
			b.Fatalf("%d bytes", n)
		}
	}
}
