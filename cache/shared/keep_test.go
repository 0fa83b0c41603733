// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOneTag has two resources of one length and one strong tag, as a web server gives them that makes tags of a file's
// time and length.
func TestOneTag(t *testing.T) {
	t.Parallel()
	one, other := bytes.Repeat([]byte("1"), 3*testBlock), bytes.Repeat([]byte("2"), 3*testBlock)
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		b := one
		if strings.HasSuffix(r.URL.Path, "other") {
			b = other
		}
		content(b, `"1"`, "Cache-Control: max-age=60")(w, r)
	})
	if _, got := e.get(t, "/one"); !bytes.Equal(got, one) {
		t.Error("other bytes")
	}
	if _, got := e.get(t, "/other"); !bytes.Equal(got, other) {
		t.Error("the bytes of one resource are given out for another with the same tag")
	}
}

// TestNamedFields has a field that is for the client whose question it was, and is not to be kept (RFC 9111 section
// 5.2.2.4).
func TestNamedFields(t *testing.T) {
	t.Parallel()
	e := newEdge(t, content([]byte("body"), `"1"`, `Cache-Control: max-age=60, no-cache="Once"`, "Once: 1"))
	if r, _ := e.get(t, "/k"); r.Header.Get("Once") != "1" {
		t.Error("the field is missing in the answer as it came")
	}
	if r, _ := e.get(t, "/k"); r.Header.Get("Once") != "" || e.requests.Load() != 1 {
		t.Errorf("the field is kept, or the answer is not: %d requests", e.requests.Load())
	}
}

// TestRefusedImage is about images, of which there is nothing to be passed on but the bytes.
func TestRefusedImage(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		if s := int(status.Load()); s != 0 {
			http.Error(w, "no", s)
			return
		}
		content(testBytes(100), `"1"`, "Cache-Control: max-age=0")(w, r)
	}, func(t *Target) { t.Private, t.Policy.Stale = true, time.Hour })
	e.get(t, "/k")
	for origin, want := range map[int]int{404: 404, 410: 404, 401: 403, 403: 403, 400: 200, 500: 200, 503: 200} {
		status.Store(int32(origin))
		if r, _ := e.get(t, "/k"); r.StatusCode != want {
			t.Errorf("an origin that says %d: %s, want %d", origin, r.Status, want)
		}
	}
	for origin, want := range map[int]int{404: 404, 400: 502, 500: 502, 503: 503} {
		status.Store(int32(origin))
		if r, _ := e.get(t, "/other"); r.StatusCode != want {
			t.Errorf("what was never there, and an origin that says %d: %s, want %d", origin, r.Status, want)
		}
	}
}

// TestOneContentAtOnce has many names of one content asked for at the same time.
func TestOneContentAtOnce(t *testing.T) {
	t.Parallel()
	want := testBytes(50 * testBlock)
	e := newEdge(t, content(want, `"1"`, "Cache-Control: max-age=60"), func(target *Target) { target.Kin = "images" })
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			if _, got := e.get(t, fmt.Sprint("/node", i)); !bytes.Equal(got, want) {
				t.Error("other bytes")
			}
		})
	}
	clients.Wait()
	if s := e.store.Stats(); s.Objects != 1 {
		t.Errorf("%d objects are kept, want one", s.Objects)
	}
}

// TestKin has files of one origin that equal tags may make one, and some do not: those of another length, and those of weak
// tags, which say that bytes may differ.
func TestKin(t *testing.T) {
	t.Parallel()
	files := map[string]struct {
		tag     string
		content []byte
	}{
		"/one":     {`"1"`, bytes.Repeat([]byte("1"), 3*testBlock)},
		"/longer":  {`"1"`, bytes.Repeat([]byte("2"), 4*testBlock)},
		"/weak":    {`W/"3"`, bytes.Repeat([]byte("3"), 3*testBlock)},
		"/weakly":  {`W/"3"`, bytes.Repeat([]byte("4"), 3*testBlock)},
		"/another": {`"5"`, bytes.Repeat([]byte("5"), 3*testBlock)},
	}
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		f := files[r.URL.Path]
		content(f.content, f.tag, "Cache-Control: max-age=60")(w, r)
	}, func(target *Target) { target.Kin = "images" })
	for range 2 {
		for path, f := range files {
			if _, got := e.get(t, path); !bytes.Equal(got, f.content) {
				t.Errorf("%s: the bytes of another", path)
			}
		}
	}
}

// TestDigestOfTheOrigin has an origin say what its content hashes to, and send something else.
func TestDigestOfTheOrigin(t *testing.T) {
	t.Parallel()
	want := testBytes(20*testBlock + 5)
	sum := sha256.Sum256(want)
	field := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	for wrong, right := range map[string]bool{"": true, "x": false} {
		sent := append([]byte(wrong), want[len(wrong):]...)
		e := newEdge(t, content(sent, `"1"`, "Cache-Control: max-age=60", "Repr-Digest: "+field))
		response, err := http.Get(e.server.URL + "/k")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if right != (err == nil && bytes.Equal(got, want)) || !right && len(got) >= len(sent) {
			t.Errorf("wrong %q: %d bytes of %d, %v", wrong, len(got), len(sent), err)
		}
		if bad := e.store.Stats().BadObjects; (bad == 0) != right {
			t.Errorf("wrong %q: %d bad objects are counted", wrong, bad)
		}
	}
}
