// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseContentRange(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]contentRange{
		"bytes 0-0/1":                   {0, 0, 1},
		"bytes 2-4/9":                   {2, 4, 9},
		"Bytes 2-4/*":                   {2, 4, -1},
		"bytes */9":                     {-1, -1, 9},
		"bytes */0":                     {-1, -1, 0},
		"bytes 00-04/0009":              {0, 4, 9},
		"bytes 0-9223372036854775805/*": {0, 1<<63 - 3, -1},
		"bytes 5-5/9223372036854775806": {5, 5, 1<<63 - 2},
	} {
		if got, ok := parseContentRange(in); !ok || got != want {
			t.Errorf("parseContentRange(%q) = %v, %t; want %v", in, got, ok, want)
		}
	}
	for name, in := range map[string]string{
		"empty":                  "",
		"unit only":              "bytes",
		"no range":               "bytes ",
		"no length":              "bytes 2-4",
		"empty length":           "bytes 2-4/",
		"other unit":             "items 2-4/9",
		"equals sign":            "bytes=2-4/9",
		"two blanks":             "bytes  2-4/9",
		"blank at the end":       "bytes 2-4/9 ",
		"blank inside":           "bytes 2 - 4/9",
		"plus sign":              "bytes +2-4/9",
		"minus sign":             "bytes -2-4/9",
		"suffix":                 "bytes -4/9",
		"open":                   "bytes 2-/9",
		"backwards":              "bytes 4-2/9",
		"last is the length":     "bytes 2-9/9",
		"beyond the length":      "bytes 2-10/9",
		"hexadecimal":            "bytes 0x2-4/9",
		"nothing known":          "bytes */*",
		"two ranges":             "bytes 2-4/9, 5-6/9",
		"more than 63 bits":      "bytes 0-9223372036854775808/*",
		"all of 63 bits":         "bytes 0-9223372036854775807/*",
		"length beyond 63 bits":  "bytes 0-1/99999999999999999999",
		"wildcard without slash": "bytes *",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := parseContentRange(in); ok {
				t.Errorf("parseContentRange(%q) = %v, want none", in, got)
			}
		})
	}
}

// FuzzContentRange wants what is read to be a range that can be, and to be written as it was read.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 2-4/9", "bytes 0-0/1", "bytes 2-4/*", "bytes */9", "bytes 007-8/9", "bytes 4-2/9", "", "bytes -1-2/3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, ok := parseContentRange(in)
		if !ok {
			return
		}
		span, size := "*", "*"
		if r.first >= 0 {
			span = fmt.Sprintf("%d-%d", r.first, r.last)
			if r.last < r.first || r.last-r.first+1 <= 0 {
				t.Errorf("%q has %d bytes", in, r.last-r.first+1)
			}
		}
		if r.size >= 0 {
			size = fmt.Sprint(r.size)
			if r.last >= r.size {
				t.Errorf("%q ends at %d of %d", in, r.last, r.size)
			}
		}
		out := "bytes " + span + "/" + size
		if again, ok := parseContentRange(out); !ok || again != r {
			t.Errorf("%q is %v, written as %q it is %v", in, r, out, again)
		}
		if len(out) > len(in) || strings.ContainsAny(in[5:], "+\t") {
			t.Errorf("%q is read as %q", in, out)
		}
	})
}
