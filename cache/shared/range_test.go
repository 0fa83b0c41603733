// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// TestOneRange compares what serveContent answers by itself with http.ServeContent's answers.
func TestOneRange(t *testing.T) {
	content := []byte("0123456789")
	for field, itself := range map[string]bool{
		"bytes=0-0": true, "bytes=0-9": true, "bytes=3-5": true, "bytes=9-9": true, "bytes=03-05": true,
		"bytes=0-10": false, "bytes=3-": false, "bytes=-3": false, "bytes=5-3": false, "bytes=10-12": false, "bytes=-": false,
		"bytes=0-1,3-4": false, "bytes= 3-5": false, "bytes=+3-5": false, "bytes=3-5-7": false, "bytes=": false, "bytes=a-b": false,
		"bytes=0-9223372036854775807": false, "bytes=0-9223372036854775808": false,
	} {
		if _, _, ok := oneRange(field, int64(len(content))); ok != itself {
			t.Errorf("%s: answered without http.ServeContent: %v", field, ok)
		}
		ask := func() *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Header.Set("Range", field)
			return r
		}
		got, want := httptest.NewRecorder(), httptest.NewRecorder()
		for _, w := range []*httptest.ResponseRecorder{got, want} {
			w.Header().Set("Content-Type", "x/y")
		}
		if err := serveContent(got, ask(), true, int64(len(content)), bytes.NewReader(content)); err != nil {
			t.Errorf("%s: %v", field, err)
		}
		http.ServeContent(want, ask(), "", time.Time{}, bytes.NewReader(content))
		if !itself {
			continue // boundaries differ
		}
		if got.Code != want.Code || got.Body.String() != want.Body.String() || !maps.EqualFunc(got.Header(), want.Header(), slices.Equal) {
			t.Errorf("%s: %d %v %q, want %d %v %q", field, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
		}
	}
	if _, _, ok := oneRange("bytes=0-0", 0); ok {
		t.Error("there is a range of nothing")
	}
}
