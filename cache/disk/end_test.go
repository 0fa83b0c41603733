// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// TestEndIsChecked has objects that turn out to be larger than the store while they are read. What their readers get from
// the origin is held against the digest, as what the store has is.
func TestEndIsChecked(t *testing.T) {
	t.Parallel()
	content := pattern(9*testBlock+5, 91)
	for name, tt := range map[string]struct {
		differs int // the byte in which the origin's content differs from what the digest is of; -1: none
		from    int64
		whole   bool
	}{
		"right":                  {-1, 0, true},
		"wrong in the store":     {3, 0, false},
		"wrong past the store":   {8 * testBlock, 0, false},
		"wrong at the end":       {len(content) - 1, 0, false},
		"a range has no digest":  {3, 5 * testBlock, true},
		"nor has one of the end": {3, 9 * testBlock, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), func(o *Options) { o.MaxSize = 4 * testBlock })
			sent := bytes.Clone(content)
			if tt.differs >= 0 {
				sent[tt.differs] ^= 1
			}
			h := newOrigin(sent)
			h.noLength, h.noRanges = true, true
			reader := NewReader(t.Context(), create(t, s, "key", h, 0, 0, sha(content)))
			defer reader.Close()
			if _, err := reader.Seek(tt.from, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(reader)
			want := sent[tt.from:]
			if !bytes.HasPrefix(want, got) || tt.whole != (err == nil && len(got) == len(want)) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
			if !tt.whole && (!errors.Is(err, ErrBad) || len(got) == len(want) || s.Stats().BadObjects != 1) {
				t.Errorf("%d wrong bytes of %d, %v, %d bad objects; want ErrBad", len(got), len(want), err, s.Stats().BadObjects)
			}
		})
	}
}
