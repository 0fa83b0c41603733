// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// BenchmarkBody asks what a megabyte of a part costs, by the size of the reads and with a line limit that is never
// reached. The server is net/http on the same machine, whose work is in the figures, too; "net/http" is its client without
// any of ours.
func BenchmarkBody(b *testing.B) {
	const size = 64 << 20
	image := bytes.NewReader(make([]byte, size))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "image", time.Time{}, io.NewSectionReader(image, 0, size))
	}))
	defer server.Close()
	discard := func(b *testing.B, body io.ReadCloser, buffer []byte) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buffer)
		if n != size || err != nil {
			b.Fatalf("%d bytes, then %v", n, err)
		}
		body.Close()
	}
	for _, buffer := range [][]byte{make([]byte, 32<<10), make([]byte, 256<<10)} {
		b.Run(fmt.Sprintf("net/http/%dK", len(buffer)>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				response, err := server.Client().Get(server.URL)
				if err != nil {
					b.Fatal(err)
				}
				discard(b, response.Body, buffer)
			}
		})
		for _, line := range []struct {
			name string
			rate int64
		}{{"part", 0}, {"line", 1 << 40}} {
			b.Run(fmt.Sprintf("%s/%dK", line.name, len(buffer)>>10), func(b *testing.B) {
				s := source(b, newClient(b, func(c *Config) { c.Line = lineOf(line.rate) }), server.URL, nil)
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					p, err := s.Open(b.Context(), cache.Ask{Length: size})
					if err != nil {
						b.Fatal(err)
					}
					discard(b, p.Body, buffer)
				}
			})
		}
	}
}

// BenchmarkOpen asks what a question for one block costs over a connection that is kept.
func BenchmarkOpen(b *testing.B) {
	const block = 64 << 10
	image := bytes.NewReader(make([]byte, 1<<20))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "image", time.Time{}, io.NewSectionReader(image, 0, 1<<20))
	}))
	defer server.Close()
	s := source(b, newClient(b, nil), server.URL, nil)
	buffer := make([]byte, block)
	b.SetBytes(block)
	b.ReportAllocs()
	for b.Loop() {
		p, err := s.Open(b.Context(), cache.Ask{First: block, Length: block})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(p.Body, buffer); err != nil {
			b.Fatal(err)
		}
		p.Body.Close()
	}
}
