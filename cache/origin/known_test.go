// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestKnown has an origin that serves ranges and has no validator, as Glance.
func TestKnown(t *testing.T) {
	t.Parallel()
	const text = "0123456789"
	digest, err := cache.ParseDigest("sha256", strings.TrimPrefix(sha([]byte(text)), "sha256:"))
	if err != nil {
		t.Fatal(err)
	}
	tag := `"` + digest.String() + `"`
	status := http.StatusOK
	var ranges []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "If-") {
				t.Errorf("asked with %s", name)
			}
		}
		ranges = append(ranges, r.Header.Get("Range"))
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
	t.Cleanup(server.Close)
	k := Known{source(t, newClient(t, nil), server.URL, nil), Content{digest, int64(len(text))}}

	p, err := k.Open(t.Context(), cache.Ask{First: 2, Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	if p.Validator != (cache.Validator{ETag: tag}) || p.Header.Get("Etag") != tag || p.Digest.String() != digest.String() {
		t.Errorf("the part has %v, %s, %v", p.Validator, p.Header.Get("Etag"), p.Digest)
	}
	for _, same := range []cache.Validator{{}, p.Validator} {
		q, err := k.Open(t.Context(), cache.Ask{First: 5, Same: same})
		if got, want := outcome(t, q, err), "206, 5+5 of 10: 56789, ranges"; got != want {
			t.Errorf("Open = %s, want %s", got, want)
		}
	}
	if got, want := outcome(t, p, nil), "206, 2+3 of 10: 234, ranges"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
	ranges = nil
	conditions := http.Header{"If-None-Match": {`"a", ` + tag}, "If-Modified-Since": {monday}, "If-Match": {`"a"`}}
	q, err := k.Fetch(t.Context(), conditions, cache.Ask{})
	if got, want := outcome(t, q, err), "304, 0+0 of 0: "; got != want || q.Header.Get("Etag") != tag || q.Header.Get("Content-Range") != "" {
		t.Errorf("Fetch = %s, %v; want %s", got, q.Header, want)
	}
	if got := strings.Join(ranges, ","); got != "bytes=0-0" {
		t.Errorf("asked for %s", got)
	}
	q, err = k.Fetch(t.Context(), http.Header{"If-None-Match": {`"a"`}}, cache.Ask{First: 8})
	if got, want := outcome(t, q, err), "206, 8+2 of 10: 89, ranges"; got != want {
		t.Errorf("Fetch = %s, want %s", got, want)
	}
	if conditions.Get("If-None-Match") == "" {
		t.Error("the client's header is changed")
	}

	status = http.StatusForbidden
	if q, err = k.Fetch(t.Context(), conditions, cache.Ask{}); err != nil || q.Status != status || q.Digest != nil {
		t.Errorf("Fetch = %v, %v; want the origin's 403", q, err)
	} else {
		q.Body.Close()
	}
	q, err = k.Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, q, err), "refused 403: status 403"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
	status = http.StatusOK
	k.Content.Size = 11
	q, err = k.Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, q, err), "refused 502: another length than is known of it"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
	k.Content.Size = -1
	q, err = k.Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, q, err), "200, 0+10 of 10: 0123456789, ranges"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
}

// TestKnownByAnother keeps apart what was kept under the origin's own validator.
func TestKnownByAnother(t *testing.T) {
	t.Parallel()
	o := startRaw(t, func(r *http.Request) string {
		if r.Header.Get("If-Range") != `"a"` {
			t.Errorf("asked with If-Range: %s", r.Header.Get("If-Range"))
		}
		io.Copy(io.Discard, r.Body)
		return "HTTP/1.1 206 Partial Content\nEtag: \"a\"\nContent-Range: bytes 1-9/10\nContent-Length: 9\n\n123456789"
	})
	k := Known{source(t, newClient(t, nil), o.url, nil), Content{cache.Digest{Algorithm: "md5", Sum: make([]byte, 16)}, 10}}
	p, err := k.Open(t.Context(), cache.Ask{First: 1, Same: tagA})
	if err != nil {
		t.Fatal(err)
	}
	if p.Validator != tagA {
		t.Errorf("the part has %v, want the origin's validator", p.Validator)
	}
	p.Body.Close()
}
