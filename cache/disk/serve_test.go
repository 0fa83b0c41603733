// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestServeContent compares what clients of a growing object get with what they would get of its bytes in memory.
func TestServeContent(t *testing.T) {
	t.Parallel()
	content := pattern(9*testBlock+17, 71)
	size := len(content)
	ranges := []string{"", "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-0", "bytes=-99999999", "bytes=5-4", "bytes=4-5", "bytes=a-b", "lines=1-2",
		"bytes=0-0,-1", "bytes=1-2,4-5,10000-20000", "bytes=0-99999999", "bytes=,", "bytes=0-,0-,0-", "bytes= 1-2 , 3-4",
		fmt.Sprintf("bytes=%d-", size), fmt.Sprintf("bytes=%d-", size-1), fmt.Sprintf("bytes=%d-%d", size-1, size),
		fmt.Sprintf("bytes=%d-%d,0-1", testBlock-1, testBlock), fmt.Sprintf("bytes=%d-5,0-1", size+10), "bytes=99999999999999999999-"}
	random := rand.New(rand.NewPCG(7, 1))
	for range 60 {
		a, b := random.IntN(size), random.IntN(size)
		ranges = append(ranges, fmt.Sprintf("bytes=%d-%d", min(a, b), max(a, b)), fmt.Sprintf("bytes=-%d,%d-%d", a/10, b, b+100))
	}
	conditions := []http.Header{{}, {"If-Range": {`"1"`}}, {"If-Range": {`"2"`}}, {"If-Range": {`W/"1"`}}, {"If-None-Match": {`"1"`}},
		{"If-Match": {`"2"`}}, {"If-Modified-Since": {"Mon, 01 Jan 2024 00:00:00 GMT"}}}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		s := open(t, t.TempDir())
		h := strongOrigin(content, sound, cut, fewer, earlier, withEOF, cut)
		createFrom(t, s, "key", h, cache.Ask{Length: testBlock}, sha(content)).Release()
		for i, value := range ranges {
			header := conditions[i%len(conditions)].Clone()
			if value != "" {
				header.Set("Range", value)
			}
			o, _ := s.Get("key")
			r := NewReader(t.Context(), o)
			got := serve(method, header, func(w http.ResponseWriter, q *http.Request) {
				http.ServeContent(w, q, "image", time.Unix(1704067200, 0), r)
			})
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			want := serve(method, header, func(w http.ResponseWriter, q *http.Request) {
				http.ServeContent(w, q, "image", time.Unix(1704067200, 0), bytes.NewReader(content))
			})
			if got != want {
				t.Errorf("%s %v: got\n%.300s\nwant\n%.300s", method, header, got, want)
			}
		}
	}
}

// serve is an answer as text, its boundary replaced.
func serve(method string, header http.Header, handler http.HandlerFunc) string {
	q := httptest.NewRequest(method, "/image", nil)
	q.Header = header
	w := httptest.NewRecorder()
	w.Header().Set("ETag", `"1"`)
	handler(w, q)
	text := new(strings.Builder)
	fmt.Fprintln(text, w.Code)
	_ = w.Result().Header.Write(text) // to a builder, which takes all
	text.WriteString(w.Body.String())
	if _, parameters, err := mime.ParseMediaType(w.Header().Get("Content-Type")); err == nil && parameters["boundary"] != "" {
		return strings.ReplaceAll(text.String(), parameters["boundary"], "boundary")
	}
	return text.String()
}
