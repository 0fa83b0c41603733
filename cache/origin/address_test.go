// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"errors"
	"strings"
	"testing"
)

func TestAllow(t *testing.T) {
	t.Parallel()
	for entry, urls := range map[string]struct{ in, out []string }{
		"https://images.example": {
			[]string{"https://images.example/k", "https://IMAGES.example:443/k", "HTTPS://u:p@images.example/k?x#y", "https://images.example:0443"},
			[]string{"http://images.example/k", "https://images.example:8443/k", "https://a.images.example/k", "https://images.example.org/k", "https://images.example./k"},
		},
		"http://images.example:8080/": {
			[]string{"http://images.example:8080/k"},
			[]string{"http://images.example/k", "https://images.example:8080/k"},
		},
		"images.example": {
			[]string{"http://images.example/k", "https://images.example/k"},
			[]string{"http://images.example:443/k", "https://images.example:80/k", "http://images.example:8080/k"},
		},
		"images.example:8080": {
			[]string{"http://images.example:8080/k", "https://images.example:8080/k"},
			[]string{"http://images.example/k"},
		},
		"https://*.example": {
			[]string{"https://a.example/k", "https://b.a.example/k"},
			[]string{"https://example/k", "http://a.example/k", "https://aexample/k", "https://a.example:444/k"},
		},
		"*.Example:8080": {
			[]string{"https://a.example:8080/k", "http://a.example:8080/k"},
			[]string{"https://a.example/k"},
		},
		"http://[2001:DB8::1]:6385": {
			[]string{"http://[2001:db8:0::1]:6385/k"},
			[]string{"http://[2001:db8::2]:6385/k"},
		},
		"http://[2001:db8::1]": {[]string{"http://[2001:db8::1]/k"}, []string{"http://[2001:db8::1]:81/k"}},
		"http://192.0.2.1":     {[]string{"http://192.0.2.1/k"}, []string{"http://192.0.2.1.example/k", "http://192.0.2.1@evil.example/k"}},
	} {
		c, err := New(Config{Allow: []string{"http://other.example", entry}})
		if err != nil {
			t.Errorf("New: %v", err)
			continue
		}
		for _, u := range urls.in {
			if _, err := c.Source(u, nil); err != nil {
				t.Errorf("with %s: %s: %v", entry, u, err)
			}
		}
		for _, u := range urls.out {
			s, err := c.Source(u, nil)
			if err == nil {
				t.Errorf("with %s: %s is allowed", entry, s)
			}
		}
	}
}

func TestAllowRefuses(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]string{
		"empty":             "",
		"wildcard only":     "*.",
		"everything":        "*",
		"wildcard inside":   "https://a.*.example",
		"two wildcards":     "*.*.example",
		"other scheme":      "ftp://images.example",
		"no host":           "https://",
		"path":              "https://images.example/a",
		"query":             "https://images.example?a",
		"user":              "https://u@images.example",
		"port out of range": "https://images.example:65536",
		"port zero":         "https://images.example:0",
		"port name":         "https://images.example:https",
		"blank":             "https://images example",
		"not ASCII":         "https://bücher.example",
		"wildcard and IP":   "*.192.0.2.1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Config{Allow: []string{entry}})
			var bad *ConfigError
			if !errors.As(err, &bad) || bad.Field != "Allow" || bad.Value != entry {
				t.Errorf("New = %v, want an error about Allow %q", err, entry)
			}
		})
	}
}

func TestSourceRefuses(t *testing.T) {
	t.Parallel()
	c, err := New(Config{Allow: []string{"http://images.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, u := range map[string]string{
		"empty":       "",
		"path":        "/image?s3cret",
		"no host":     "http:///image?s3cret",
		"other kind":  "file:///etc/s3cret",
		"opaque":      "http:s3cret",
		"bad port":    "http://u:s3cret@images.example:99999/",
		"not a URL":   "http://u:s3cret@images.example:port/",
		"line break":  "http://images.example/\nX: s3cret",
		"not allowed": "https://u:s3cret@images.example/k?s3cret",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Source(u, nil)
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Source(%q) = %v, want an error without a secret", u, err)
			}
			var not *NotAllowedError
			if errors.As(err, &not) != (name == "not allowed") {
				t.Errorf("Source(%q) = %T", u, err)
			}
		})
	}
	_, err = c.Source("https://Images.example:443/k", nil)
	if want := "the origin https://images.example is not allowed: add it to Allow"; err == nil || err.Error() != want {
		t.Errorf("Source = %v, want %s", err, want)
	}
}
