// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/url"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache/origin"
)

func TestMirrorTarget(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prefix, origin, asked, want string // want "": refused
	}{
		"plain":                     {"/m/", "http://o.example/pub", "/m/a/b.efi", "http://o.example/pub/a/b.efi"},
		"the prefix itself":         {"/m/", "http://o.example/pub/", "/m/", "http://o.example/pub/"},
		"everything":                {"/", "http://o.example", "/a", "http://o.example/a"},
		"query":                     {"/m/", "http://o.example/pub", "/m/a?b=c%2F", "http://o.example/pub/a?b=c%2F"},
		"octets that need escaping": {"/m/", "http://o.example/pub", "/m/a%20b%3Fc%23d%25e", "http://o.example/pub/a%20b%3Fc%23d%25e"},
		"a colon in two spellings":  {"/m/", "http://o.example/pub", "/m/52%3A54", "http://o.example/pub/52:54"},
		"escaped twice":             {"/m/", "http://o.example/pub", "/m/%252e%252e/a", "http://o.example/pub/%252e%252e/a"},
		// A project's name in the path of an API holds a slash that is none.
		"a base with an escaped slash":  {"/m/", "http://o.example/projects/a%2Fb/files", "/m/c%20d", "http://o.example/projects/a%2Fb/files/c%20d"},
		"up":                            {"/m/", "http://o.example/pub", "/m/../a", ""},
		"up, escaped":                   {"/m/", "http://o.example/pub", "/m/%2e%2e/a", ""},
		"here":                          {"/m/", "http://o.example/pub", "/m/./a", ""},
		"nothing":                       {"/m/", "http://o.example/pub", "/m//a", ""},
		"slash, escaped":                {"/m/", "http://o.example/pub", "/m/a%2fb", ""},
		"backslash":                     {"/m/", "http://o.example/pub", "/m/..%5ca", ""},
		"NUL":                           {"/m/", "http://o.example/pub", "/m/a%00b", ""},
		"up, with a parameter":          {"/m/", "http://o.example/pub", "/m/..;/a", ""}, // Tomcat cuts it off first
		"up, with a parameter, escaped": {"/m/", "http://o.example/pub", "/m/%2e%2e%3bx=y/a", ""},
		"a parameter":                   {"/m/", "http://o.example/pub", "/m/a;v=1/b", "http://o.example/pub/a;v=1/b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := (&Mirror{Prefix: tt.prefix, Origin: tt.origin}).resolve()
			if err != nil {
				t.Fatal(err)
			}
			if m.client, err = origin.New(origin.Config{Allow: []string{m.origin}}); err != nil {
				t.Fatal(err)
			}
			asked, err := url.ParseRequestURI(tt.asked)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if plainPath(asked) {
				target, err := m.target(asked)
				if err != nil {
					t.Fatal(err)
				}
				got = target.URL.String()
				if target.Key != "mirror "+origin.Key(got) {
					t.Errorf("the key is %q", target.Key)
				}
			}
			if got != tt.want {
				t.Errorf("%s is %q, want %q", tt.asked, got, tt.want)
			}
		})
	}
}

// TestMirrorOfIronicsPaths is about prefixes below which all paths are the edge's own, so that no mirror would be asked.
func TestMirrorOfIronicsPaths(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"/v1/", "/v1/nodes/", "/pxelinux.cfg/"} {
		if _, err := (&Mirror{Prefix: prefix, Origin: "http://o.example"}).resolve(); err == nil {
			t.Errorf("a mirror for %s is taken", prefix)
		}
	}
}
