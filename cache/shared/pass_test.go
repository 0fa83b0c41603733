// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestPassedOnAndChecked has answers that are not kept, of which a digest is known all the same: whoever gets all of one
// has the right one.
func TestPassedOnAndChecked(t *testing.T) {
	t.Parallel()
	want := testBytes(50*testBlock + 13)
	sum := sha256.Sum256(want)
	right := &cache.Digest{Algorithm: "sha256", Sum: sum[:]}
	wrong := bytes.Clone(want)
	wrong[7] ^= 1
	for name, fields := range map[string][]string{
		"missed":       nil,
		"no condition": {"If-Match: *"},             // which only the origin may judge
		"asked anew":   {"Cache-Control: no-cache"}, // asks anew
	} {
		for _, length := range []bool{true, false} {
			for sends, whole := range map[*[]byte]bool{&want: true, &wrong: false} {
				for _, known := range []bool{true, false} {
					e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
						if length {
							content(*sends, `"1"`, "Cache-Control: no-store")(w, r)
							return
						}
						w.Header().Set("Cache-Control", "no-store")
						http.NewResponseController(w.(*countingWriter).ResponseWriter).Flush()
						w.Write(*sends)
					}, func(target *Target) {
						if known {
							target.Digest = right
						}
					})
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.server.URL+"/k", nil)
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range fields {
						name, value, _ := strings.Cut(f, ": ")
						r.Header.Set(name, value)
					}
					response, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(response.Body)
					response.Body.Close()
					if whole || !known {
						if err != nil || !bytes.Equal(got, *sends) {
							t.Errorf("%s, length %t: %d bytes, %v, want all", name, length, len(got), err)
						}
					} else if err == nil || len(got) >= len(want) {
						t.Errorf("%s, length %t: %d wrong bytes, %v, want a connection that breaks", name, length, len(got), err)
					}
				}
			}
		}
	}
}
