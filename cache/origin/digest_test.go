// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// sf writes a byte sequence as a structured field does.
func sf(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

func TestDigests(t *testing.T) {
	t.Parallel()
	one, two := sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2"))
	long := sha512.Sum512([]byte("1"))
	short, other, strong := "sha-256="+sf(one[:]), "sha-256="+sf(two[:]), "sha-512="+sf(long[:])
	names := map[string]string{
		cache.Digest{Algorithm: "sha256", Sum: one[:]}.String():  "one",
		cache.Digest{Algorithm: "sha256", Sum: two[:]}.String():  "two",
		cache.Digest{Algorithm: "sha512", Sum: long[:]}.String(): "long",
	}
	for name, tt := range map[string]struct {
		repr    []string
		content string
		status  int
		want    string
	}{
		"none":                       {nil, "", 200, ""},
		"of the representation":      {[]string{short}, "", 200, "one"},
		"of it, with a part":         {[]string{short}, "", 206, "one"},
		"of a whole content":         {nil, short, 200, "one"},
		"of a part's content":        {nil, short, 206, ""},
		"both, equal":                {[]string{short}, short, 200, "one"},
		"both, at odds":              {[]string{short}, other, 200, "one two"},
		"strongest first":            {[]string{short + ", " + strong}, "", 200, "long one"},
		"two lines":                  {[]string{short, strong}, "", 200, "long one"},
		"the last of a key":          {[]string{other + "," + short}, "", 200, "one"},
		"unknown and known":          {[]string{"crc32c=:AAAAAA==:\t,\t" + short}, "", 200, "one"},
		"no equals sign":             {[]string{strings.ReplaceAll(short, "=:", ":")}, "", 200, ""},
		"padding left out":           {[]string{"sha-256=:" + base64.RawStdEncoding.EncodeToString(one[:]) + ":"}, "", 200, "one"},
		"of another length":          {[]string{"sha-256=:AAAA:"}, "", 200, ""},
		"retired algorithm":          {[]string{"md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"}, "", 200, ""},
		"upper case key":             {[]string{strings.ToUpper(short[:7]) + short[7:]}, "", 200, ""},
		"hexadecimal":                {[]string{`sha-256="e3b0c442"`}, "", 200, ""},
		"unquoted, as Digest was":    {[]string{"sha-256=" + strings.Trim(sf(one[:]), ":")}, "", 200, ""},
		"not closed":                 {[]string{strings.TrimSuffix(short, ":")}, "", 200, ""},
		"comma at the end":           {[]string{short + ","}, "", 200, ""},
		"no comma":                   {[]string{short + " " + strong}, "", 200, ""},
		"parameters":                 {[]string{short + ";a=1"}, "", 200, ""},
		"one member cannot be read":  {[]string{short + ", a=1"}, "", 200, ""},
		"not base64":                 {[]string{"sha-256=:?:"}, "", 200, ""},
		"one field cannot be read":   {[]string{"?"}, short, 200, "one"},
		"a line break in the middle": {[]string{short[:20] + "\n" + short[20:]}, "", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Repr-Digest": tt.repr}
			if tt.content != "" {
				h.Set("Content-Digest", tt.content)
			}
			var got []string
			for _, d := range Digests(&cache.Part{Status: tt.status, Header: h}) {
				got = append(got, names[d.String()])
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("Digests = %q, want %q", s, tt.want)
			}
		})
	}
}

// FuzzDigests wants digests of the right length only, which read the same when they are written again.
func FuzzDigests(f *testing.F) {
	sum := sha256.Sum256(nil)
	for _, seed := range []string{"sha-256=" + sf(sum[:]), "sha-256=" + sf(sum[:]) + ", a=:AA:", "sha-512=::", "a=1", "sha-256=:AA==:,", "*=:A:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		found := parseDigests([]string{in})
		for i, d := range found {
			if d.New() == nil || len(d.Sum) != d.New().Size() {
				t.Fatalf("%q has %v", in, d)
			}
			out := strings.Replace(d.Algorithm, "sha", "sha-", 1) + "=" + sf(d.Sum)
			if again := parseDigests([]string{out}); len(again) != 1 || again[0].String() != d.String() {
				t.Errorf("%q has %v, written as %q it is %v", in, d, out, again)
			}
			for _, other := range found[:i] {
				if other.Algorithm == d.Algorithm {
					t.Errorf("%q has two of %s", in, d.Algorithm)
				}
			}
		}
	})
}
