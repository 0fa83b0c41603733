// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestSanbootBehindNAT has two machines with one address, each with a path of its own to one image. One of them begins
// while the other is in the middle, and the image has changed meanwhile.
func TestSanbootBehindNAT(t *testing.T) {
	t.Parallel()
	old, changed := testBytes(5*testBlock), bytes.Repeat([]byte("new!"), 5*testBlock/4)
	var now atomic.Pointer[http.HandlerFunc]
	first, second := content(old, `"1"`, "Cache-Control: max-age=0"), content(changed, `"2"`, "Cache-Control: max-age=0")
	now.Store(&first)
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) { (*now.Load())(w, r) }, func(target *Target) {
		target.Key, target.Private = "image", true
	})
	e.get(t, "HEAD /node1/boot_iso")
	_, got := e.get(t, "/node1/boot_iso", "Range: bytes=0-511")
	now.Store(&second)
	e.get(t, "HEAD /node2/boot_iso")
	if _, its := e.get(t, "/node2/boot_iso", "Range: bytes=0-511"); !bytes.Equal(its, changed[:512]) {
		t.Error("a machine that begins gets the old image")
	}
	if _, more := e.get(t, "/node1/boot_iso", "Range: bytes=512-1023"); !bytes.Equal(append(got, more...), old[:1024]) {
		t.Error("a machine in the middle of an image gets bytes of another, since its neighbour has begun")
	}
}

// TestVariantsAreBounded has a client that makes up values of the field by which the origin's answers vary.
func TestVariantsAreBounded(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Rack")
		content([]byte("for "+r.Header.Get("Rack")), `"`+r.Header.Get("Rack")+`"`, "Cache-Control: max-age=60")(w, r)
	})
	get := func(rack string) string {
		t.Helper()
		response, got := e.get(t, "/k", "Rack: "+rack)
		if string(got) != "for "+rack {
			t.Errorf("%s gets %q", rack, got)
		}
		return response.Header.Get("Cache-Status")
	}
	for i := range 3 * maxVariants {
		get(fmt.Sprint("x", i))
		if n := len(e.store.Keys()); n > maxVariants {
			t.Fatalf("%d variants are kept after %d clients", n, i+1)
		}
	}
	e.mu.Lock()
	if n := len(e.kept["/k"]); n != maxVariants {
		t.Errorf("%d variants are known, want %d", n, maxVariants)
	}
	e.mu.Unlock()
	for i := 3*maxVariants - 1; i >= 2*maxVariants; i-- {
		if s := get(fmt.Sprint("x", i)); !strings.Contains(s, "hit") {
			t.Errorf("one of the newest variants: %s", s)
		}
	}
	if s := get("x0"); strings.Contains(s, "hit") {
		t.Errorf("the oldest variant: %s", s)
	}
}

// TestFieldsOfOurOwn has an origin vary by fields of which it sees the edge's own.
func TestFieldsOfOurOwn(t *testing.T) {
	t.Parallel()
	e := newEdge(t, content([]byte("x"), `"1"`, "Cache-Control: max-age=60", "Vary: Accept-Encoding, User-Agent"))
	e.get(t, "/k", "User-Agent: first", "Accept-Encoding: gzip")
	if r, _ := e.get(t, "/k", "User-Agent: second", "Accept-Encoding: br"); !strings.Contains(r.Header.Get("Cache-Status"), "hit") {
		t.Errorf("another client's answer: %s", r.Header.Get("Cache-Status"))
	}
}
