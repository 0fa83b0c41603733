// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields []string
		want   string // scheme and parameters, as fmt has them
	}{
		"none": {nil, "[]"},
		"of Debian's registry": {[]string{`Bearer realm="http://127.0.0.1:1/token",service="edge",scope="repository:ipa:pull",error="invalid_token"`},
			"[{bearer map[error:invalid_token realm:http://127.0.0.1:1/token scope:repository:ipa:pull service:edge]}]"},
		"token":                {[]string{`Basic realm=registry`}, "[{basic map[realm:registry]}]"},
		"names in any case":    {[]string{`BEARER Realm="a"`}, "[{bearer map[realm:a]}]"},
		"blanks":               {[]string{` , Bearer   realm = "a" , service="b",,`}, "[{bearer map[realm:a service:b]}]"},
		"two in two":           {[]string{`Bearer realm="a"`, `Basic realm="b"`}, "[{bearer map[realm:a]} {basic map[realm:b]}]"},
		"two in one":           {[]string{`Basic realm="b", Bearer realm="a",scope="x,y"`}, "[{basic map[realm:b]} {bearer map[realm:a scope:x,y]}]"},
		"without parameters":   {[]string{`Negotiate, Basic realm="b"`}, "[{negotiate map[]} {basic map[realm:b]}]"},
		"escapes":              {[]string{`Basic realm="a\"b\\c"`}, `[{basic map[realm:a"b\c]}]`},
		"a parameter twice":    {[]string{`Bearer realm="a",realm="b"`}, "[{bearer map[realm:a]}]"},
		"no end of quotes":     {[]string{`Bearer service="s",realm="a`}, "[{bearer map[service:s]}]"},
		"no value":             {[]string{`Bearer realm=,service="s"`}, "[{bearer map[]}]"},
		"parameter alone":      {[]string{`realm="a"`}, "[]"},
		"nonsense":             {[]string{`"Bearer" realm="a"`, `;`, ``}, "[]"},
		"a scheme and nothing": {[]string{`Bearer`}, "[{bearer map[]}]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(parseChallenges(tt.fields)); got != tt.want {
				t.Errorf("parseChallenges = %s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzChallenges wants every challenge to be written, and the parser to end.
func FuzzChallenges(f *testing.F) {
	for _, s := range []string{
		`Bearer realm="http://127.0.0.1:1/token",service="edge",scope="repository:ipa:pull"`, `Basic realm=a, Negotiate abc==`, `Bearer realm="a\`, ", =,",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseChallenges([]string{s}) {
			if !strings.Contains(strings.ToLower(s), c.scheme) || c.scheme == "" {
				t.Errorf("the scheme %q is not in %q", c.scheme, s)
			}
			for name := range c.params {
				if name == "" || !strings.Contains(strings.ToLower(s), name) {
					t.Errorf("the parameter %q is not in %q", name, s)
				}
			}
		}
	})
}
