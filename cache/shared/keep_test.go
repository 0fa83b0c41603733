// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
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
