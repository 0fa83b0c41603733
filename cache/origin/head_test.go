// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"net/http"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

func TestHead(t *testing.T) {
	t.Parallel()
	o := startRaw(t, func(r *http.Request) string {
		return "HTTP/1.1 200 OK\nEtag: \"1\"\nContent-Length: 5\n\n"
	})
	client, err := New(Config{Allow: []string{o.url}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := client.Source(o.url+"/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Head(t.Context(), http.Header{"If-None-Match": {`"0"`}, "A": {"1"}, "Range": {"bytes=0-1"}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(p.Body); len(b) > 0 || err != nil || p.Size != 5 || p.Validator.ETag != `"1"` || p.Status != http.StatusOK {
		t.Errorf("%q, %v, %+v", b, err, p)
	}
	asked := o.requests()[0]
	if h := asked.Header; asked.Method != http.MethodHead || h.Get("If-None-Match") != `"0"` || h.Get("A") != "1" || h.Get("Range") != "" {
		t.Errorf("asked by %s, %v", asked.Method, h)
	}
}

// TestEncoded takes content as it comes, where the field is handed on.
func TestEncoded(t *testing.T) {
	t.Parallel()
	o := startRaw(t, func(r *http.Request) string {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Error("asked for more than identity")
		}
		return "HTTP/1.1 200 OK\nContent-Encoding: x-gzip\nContent-Length: 5\n\n01234"
	})
	client, err := New(Config{Allow: []string{o.url}, Encoded: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := client.Source(o.url+"/initrd.gz", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Fetch(t.Context(), nil, cache.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Body.Close()
	if b, err := io.ReadAll(p.Body); string(b) != "01234" || err != nil || p.Header.Get("Content-Encoding") != "x-gzip" {
		t.Errorf("%q, %v, %v", b, err, p.Header)
	}
}
