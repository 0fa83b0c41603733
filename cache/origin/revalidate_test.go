// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestRevalidate has an answer per row, and what must become of it.
func TestRevalidate(t *testing.T) {
	t.Parallel()
	const (
		same    = "HTTP/1.1 304 Not Modified\nCache-Control: max-age=9\n"
		ok      = "HTTP/1.1 200 OK\n"
		partial = "HTTP/1.1 206 Partial Content\n"
	)
	both := cache.Validator{ETag: `"a"`, LastModified: monday}
	for name, tt := range map[string]struct {
		validator cache.Validator
		length    int64
		answer    string
		want      string
	}{
		"the same":                   {tagA, 0, same + "\n", "not modified"},
		"the same, with its tag":     {both, 2, same + "ETag: \"a\"\n\n", "not modified"},
		"the same, weakly":           {tagA, 0, same + "ETag: W/\"a\"\n\n", "not modified"},
		"the same, by date":          {loose, 0, same + "\n", "not modified"},
		"the same, now with a tag":   {loose, 0, same + "ETag: \"b\"\n\n", "not modified"},
		"another, whole":             {tagA, 0, ok + "ETag: \"b\"\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"another, its beginning":     {tagA, 2, partial + "ETag: \"b\"\nContent-Range: bytes 0-1/5\nContent-Length: 2\n\n01", "206, 0+2 of 5: 01, ranges"},
		"another, short":             {tagA, 9, partial + "ETag: \"b\"\nContent-Range: bytes 0-1/2\nContent-Length: 2\n\n01", "200, 0+2 of 2: 01, ranges"},
		"another, without ranges":    {tagA, 2, ok + "ETag: \"b\"\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"conditions disregarded":     {tagA, 0, ok + "ETag: \"a\"\nContent-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"another part":               {tagA, 2, partial + "Content-Range: bytes 1-2/5\nContent-Length: 2\n\n12", "refused 502: another part than the one asked for"},
		"304 about another":          {tagA, 0, same + "ETag: \"b\"\n\n", "refused 502: status 304 about what was not asked"},
		"304 without a condition":    {cache.Validator{}, 0, same + "\n", "refused 502: status 304 about what was not asked"},
		"nothing known":              {cache.Validator{}, 0, ok + "Content-Length: 5\n\n01234", "200, 0+5 of 5: 01234"},
		"gone":                       {tagA, 0, "HTTP/1.1 410 Gone\nContent-Length: 0\n\n", "refused 410: status 410"},
		"not now":                    {tagA, 0, "HTTP/1.1 503 Not Now\nRetry-After: 9\nContent-Length: 0\n\n", "refused 503: status 503, temporary, after 9s"},
		"a web page":                 {tagA, 0, ok + "Content-Type: text/html\nContent-Length: 5\n\n01234", "refused 502: a web page"},
		"shrunk, and tells the size": {tagA, 2, "HTTP/1.1 416 No\nContent-Range: bytes */5\nContent-Length: 0\n\n", "refused 502: status 416 for bytes that it says it has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(*http.Request) string { return tt.answer })
			s := source(t, newClient(t, func(c *Config) { c.RefuseHTML = true }), o.url+"/image", nil)
			r, err := s.Revalidate(t.Context(), tt.validator, nil, tt.length)
			got := ""
			switch {
			case err != nil:
				got = outcome(t, nil, err)
			case r.Asked.IsZero() || r.Answered.Before(r.Asked):
				t.Errorf("asked at %s, answered at %s", r.Asked, r.Answered)
			case r.NotModified:
				if got = "not modified"; r.Part != nil || r.Header.Get("Cache-Control") != "max-age=9" {
					t.Errorf("not modified, with part %v and header %v", r.Part, r.Header)
				}
			default:
				got = outcome(t, r.Part, nil)
			}
			if got != tt.want {
				t.Errorf("Revalidate = %s\nwant         %s", got, tt.want)
			}
		})
	}
}

// TestRevalidateQuestion checks what is sent, also by the second question about an empty representation.
func TestRevalidateQuestion(t *testing.T) {
	t.Parallel()
	o := startRaw(t, func(r *http.Request) string {
		if r.Header.Get("Range") != "" {
			return "HTTP/1.1 416 No\nContent-Range: bytes */0\nContent-Length: 0\n\n"
		}
		return "HTTP/1.1 200 OK\nContent-Length: 0\n\n"
	})
	s := source(t, newClient(t, nil), o.url, http.Header{"X-Auth-Token": {"old"}})
	extra := http.Header{"X-Auth-Token": {"new"}, "Cache-Control": {"no-cache"}, "If-None-Match": {"*"}, "Range": {"bytes=7-"}}
	r, err := s.Revalidate(t.Context(), cache.Validator{ETag: `W/"a"`, LastModified: monday}, extra, 16)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outcome(t, r.Part, nil), "200, 0+0 of 0: "; got != want {
		t.Errorf("Revalidate = %s, want %s", got, want)
	}
	for i, want := range []map[string]string{
		{"If-None-Match": `W/"a"`, "If-Modified-Since": monday, "Range": "bytes=0-15", "X-Auth-Token": "new", "Cache-Control": "no-cache"},
		{"If-None-Match": "", "If-Modified-Since": "", "Range": "", "X-Auth-Token": "new", "Cache-Control": "no-cache"},
	} {
		for field, value := range want {
			if got := o.requests()[i].Header.Get(field); got != value {
				t.Errorf("question %d has %s: %q, want %q", i, field, got, value)
			}
		}
	}
}
