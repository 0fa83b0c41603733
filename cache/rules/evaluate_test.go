// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEvaluate(t *testing.T) {
	t.Parallel()
	modified, earlier, later := at(-time.Hour), at(-2*time.Hour), at(-time.Minute)
	tagged := header(`ETag: "a"`, "Last-Modified: "+modified, "Date: "+at(0))
	dated := header("Last-Modified: "+modified, "Date: "+at(0))
	fast := header("Last-Modified: "+at(-time.Second), "Date: "+at(0))
	for name, c := range map[string]struct {
		method  string
		status  int
		kept    http.Header
		request http.Header
		want    Outcome
	}{
		"13.2.2 no condition":                       {"GET", 200, tagged, nil, Whole},
		"13.1.2 the tag":                            {"GET", 200, tagged, header(`If-None-Match: "a"`), NotModified},
		"13.1.2 the tag, HEAD":                      {"HEAD", 200, tagged, header(`If-None-Match: "a"`), NotModified},
		"13.1.2 another tag":                        {"GET", 200, tagged, header(`If-None-Match: "b"`), Whole},
		"13.1.2 one of three":                       {"GET", 200, tagged, header(`If-None-Match: "b", "a"`, `If-None-Match: "c"`), NotModified},
		"13.1.2 one with a comma":                   {"GET", 200, header(`ETag: "a,b"`), header(`If-None-Match: "c", "a,b"`), NotModified},
		"13.1.2 one with a backslash":               {"GET", 200, header(`ETag: "b"`), header(`If-None-Match: "a\", "b"`), NotModified},
		"13.1.2 weakly":                             {"GET", 200, tagged, header(`If-None-Match: W/"a"`), NotModified},
		"13.1.2 any":                                {"GET", 200, dated, header(`If-None-Match: *`), NotModified},
		"13.1.2 a tag where there is none":          {"GET", 200, dated, header(`If-None-Match: "a"`), Whole},
		"8.8.3 a tag without quotes, with":          {"GET", 200, header("ETag: a"), header(`If-None-Match: "a"`), NotModified},
		"8.8.3 a tag without quotes, without":       {"GET", 200, header("ETag: a"), header(`If-None-Match: a`), NotModified},
		"8.8.3 a tag of another form":               {"GET", 200, header(`ETag: W\"a"`), header(`If-None-Match: W\"a"`), NotModified},
		"13.1.3 the date":                           {"GET", 200, dated, header("If-Modified-Since: " + modified), NotModified},
		"13.1.3 a later date":                       {"GET", 200, dated, header("If-Modified-Since: " + later), NotModified},
		"13.1.3 an earlier date":                    {"GET", 200, dated, header("If-Modified-Since: " + earlier), Whole},
		"13.1.3 no date":                            {"GET", 200, dated, header("If-Modified-Since: 0"), Whole},
		"13.1.3 two dates":                          {"GET", 200, dated, header("If-Modified-Since: "+modified, "If-Modified-Since: "+modified), Whole},
		"13.1.3 an rfc850-date":                     {"GET", 200, dated, header("If-Modified-Since: " + noon.Format("Monday, 02-Jan-06 15:04:05 GMT")), NotModified},
		"9111 4.3.2 its Date, without one":          {"GET", 200, header("Date: " + modified), header("If-Modified-Since: " + modified), NotModified},
		"9111 4.3.2 its Date, later":                {"GET", 200, header("Date: " + modified), header("If-Modified-Since: " + earlier), Whole},
		"9111 4.3.2 when it came":                   {"GET", 200, nil, header("If-Modified-Since: " + at(0)), NotModified},
		"13.2.2 the tag before the date":            {"GET", 200, tagged, header(`If-None-Match: "b"`, "If-Modified-Since: "+modified), Whole},
		"13.2.2 the tag, an earlier date":           {"GET", 200, tagged, header(`If-None-Match: "a"`, "If-Modified-Since: "+earlier), NotModified},
		"13.2.1 not of an error":                    {"GET", 404, tagged, header(`If-None-Match: "a"`), Whole},
		"13.2.1 not of a redirection":               {"GET", 301, tagged, header(`If-None-Match: "a"`), Whole},
		"9111 4.3.2 If-Match is not for a cache":    {"GET", 200, tagged, header(`If-Match: "a"`), Origins},
		"9111 4.3.2 nor If-Unmodified-Since":        {"GET", 200, tagged, header("If-Unmodified-Since: "+modified, `If-None-Match: "a"`), Origins},
		"14.2 a range":                              {"GET", 200, tagged, header("Range: bytes=0-1"), Ranges},
		"14.2 not of a HEAD":                        {"HEAD", 200, tagged, header("Range: bytes=0-1"), Whole},
		"14.2 of an unknown unit":                   {"GET", 200, tagged, header("Range: lines=0-1"), Whole},
		"14.2 not of an error":                      {"GET", 404, tagged, header("Range: bytes=0-1"), Whole},
		"13.2.2 a range of what is not modified":    {"GET", 200, tagged, header("Range: bytes=0-1", `If-None-Match: "a"`), NotModified},
		"13.2.2 a range of what is":                 {"GET", 200, tagged, header("Range: bytes=0-1", `If-None-Match: "b"`), Ranges},
		"13.1.5 the tag":                            {"GET", 200, tagged, header("Range: bytes=0-1", `If-Range: "a"`), Ranges},
		"13.1.5 another tag":                        {"GET", 200, tagged, header("Range: bytes=0-1", `If-Range: "b"`), Whole},
		"13.1.5 a weak tag":                         {"GET", 200, header(`ETag: W/"a"`), header("Range: bytes=0-1", `If-Range: W/"a"`), Whole},
		"13.1.5 the date":                           {"GET", 200, dated, header("Range: bytes=0-1", "If-Range: "+modified), Ranges},
		"13.1.5 the date beside a tag":              {"GET", 200, tagged, header("Range: bytes=0-1", "If-Range: "+modified), Ranges},
		"13.1.5 a later date":                       {"GET", 200, dated, header("Range: bytes=0-1", "If-Range: "+later), Whole},
		"13.1.5 a date that is too young":           {"GET", 200, fast, header("Range: bytes=0-1", "If-Range: "+fast.Get("Last-Modified")), Whole},
		"13.1.5 without Range":                      {"GET", 200, tagged, header(`If-Range: "b"`), Whole},
		"13.1.5 two":                                {"GET", 200, tagged, header("Range: bytes=0-1", `If-Range: "a"`, `If-Range: "a"`), Whole},
		"13.1.5 nothing to compare with, and a tag": {"GET", 200, nil, header("Range: bytes=0-1", `If-Range: "a"`), Whole},
	} {
		stored := Response{Status: c.status, Header: c.kept, Asked: noon, Answered: noon}
		if got := Evaluate(Request{Method: c.method, Header: c.request}, stored); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestServed(t *testing.T) {
	t.Parallel()
	r := Response{
		Status: 200, Asked: noon, Answered: noon,
		Header: header("Date: "+at(0), "Age: 30", `ETag: "a"`, "Last-Modified: x", "Content-Type: a/b", "Content-Length: 5",
			"Content-Location: /c", "Cache-Control: max-age=60", "Expires: y", "Vary: d"),
	}
	// RFC 9111 section 4: Age is made anew, Date stays.
	got := r.Served(noon.Add(3500 * time.Millisecond))
	if got.Get("Age") != "33" || got.Get("Date") != at(0) || len(got) != len(r.Header) {
		t.Errorf("Served = %q", got)
	}
	// RFC 9110 section 15.4.5
	want := header("Date: "+at(0), "Age: 33", `ETag: "a"`, "Content-Location: /c", "Cache-Control: max-age=60", "Expires: y", "Vary: d")
	if got := r.NotModified(noon.Add(3500 * time.Millisecond)); !equal(got, want) {
		t.Errorf("NotModified = %q, want %q", got, want)
	}
	if r.Header.Get("Age") != "30" {
		t.Error("Served changed what is kept")
	}
}

func TestInvalidated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		status int
		header http.Header
		want   string
	}{
		"4.4 GET":                       {"GET", 200, header("Location: /b"), ""},
		"4.4 OPTIONS":                   {"OPTIONS", 200, nil, ""},
		"4.4 POST":                      {"POST", 200, nil, "http://origin/a?b"},
		"4.4 a method that is unknown":  {"M-SEARCH", 200, nil, "http://origin/a?b"},
		"4.4 a redirection":             {"POST", 303, header("Location: /b"), "http://origin/a?b http://origin/b"},
		"4.4 an error":                  {"POST", 500, header("Location: /b"), ""},
		"4.4 an error of the client":    {"DELETE", 404, nil, ""},
		"4.4 both":                      {"PUT", 201, header("Location: b#c", "Content-Location: http://origin/d?e"), "http://origin/a?b http://origin/b http://origin/d?e"},
		"4.4 twice the same":            {"PUT", 201, header("Location: /a?b", "Content-Location: /a?b"), "http://origin/a?b"},
		"4.4 of another host":           {"PUT", 201, header("Location: http://other/b"), "http://origin/a?b"},
		"4.4 of another port":           {"PUT", 201, header("Location: http://origin:81/b"), "http://origin/a?b"},
		"4.4 of another scheme":         {"PUT", 201, header("Content-Location: https://origin/b"), "http://origin/a?b"},
		"4.4 a location that is no URI": {"PUT", 201, header("Location: :"), "http://origin/a?b"},
	} {
		var got []string
		for _, u := range Invalidated(Request{Method: c.method, URL: target("http://origin/a?b")}, Response{Status: c.status, Header: c.header}) {
			got = append(got, u.String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", name, s, c.want)
		}
	}
}

// FuzzEntityTags holds the lists of tags that this package writes to the ones that it reads.
func FuzzEntityTags(f *testing.F) {
	f.Add(`"a"`, `W/"b,"`)
	f.Add(`"\"`, `c`)
	f.Fuzz(func(t *testing.T, a, b string) {
		wellFormed := func(tag string) bool {
			tag = strings.TrimPrefix(tag, "W/")
			return len(tag) >= 2 && tag[0] == '"' && strings.IndexByte(tag[1:], '"') == len(tag)-2
		}
		if !wellFormed(a) || !wellFormed(b) {
			return
		}
		h, _ := Revalidation(nil, []Variant{kept("ETag: " + a), kept("ETag: " + b)}, -1)
		for _, tag := range []string{a, b} {
			if !matchesAny(h["If-None-Match"], tag) {
				t.Fatalf("%q does not hold %q", h, tag)
			}
		}
		if got := list(h.Get("If-None-Match"), false); !slices.Contains(got, a) || !slices.Contains(got, b) {
			t.Fatalf("%q reads as %q", h, got)
		}
	})
}
