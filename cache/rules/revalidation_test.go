// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// kept makes a variant with that header.
func kept(lines ...string) Variant {
	return Variant{Response: Response{Status: 200, Header: header(lines...), Asked: noon, Answered: noon}}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request     http.Header
		variants    []Variant
		chosen      int
		want        http.Header
		conditional bool
	}{
		"4.3.1 nothing kept":  {header("A: 1"), nil, -1, header("A: 1"), false},
		"4.3.1 no validator":  {header("A: 1"), []Variant{kept()}, 0, header("A: 1"), false},
		"4.3.1 an entity tag": {header("A: 1"), []Variant{kept(`ETag: "a"`)}, 0, header("A: 1", `If-None-Match: "a"`), true},
		"4.3.1 a date":        {nil, []Variant{kept("Last-Modified: x")}, 0, header("If-Modified-Since: x"), true},
		"4.3.1 both": {nil, []Variant{kept(`ETag: W/"a"`, "Last-Modified: x")}, 0,
			header(`If-None-Match: W/"a"`, "If-Modified-Since: x"), true},
		"4.3.1 the tags of all variants, the date of one": {nil,
			[]Variant{kept(`ETag: "a"`, "Last-Modified: x"), kept(`ETag: "b"`, "Last-Modified: y"), kept(`ETag: "a"`), kept()}, 1,
			header(`If-None-Match: "a", "b"`, "If-Modified-Since: y"), true},
		"4.1 none matches, one may be chosen by the origin": {nil, []Variant{kept(`ETag: "a"`, "Last-Modified: x")}, -1,
			header(`If-None-Match: "a"`), true},
		"4.3.2 the client's own conditions": {
			header(`If-None-Match: "c"`, "If-Modified-Since: z", `If-Match: "d"`, "If-Unmodified-Since: z", `If-Range: "e"`, "Range: bytes=0-1", "A: 1"),
			[]Variant{kept(`ETag: "a"`)}, 0, header("A: 1", `If-None-Match: "a"`), true},
		"9110 7.6.1 the connection's fields": {header("Connection: a", "A: 1", "TE: b", "B: 2"), nil, -1, header("B: 2"), false},
	} {
		got, conditional := Revalidation(c.request, c.variants, c.chosen)
		if !equal(got, c.want) || conditional != c.conditional {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, conditional, c.want, c.conditional)
		}
	}
}

func TestConfirmed(t *testing.T) {
	t.Parallel()
	old := kept(`ETag: "a"`, "Date: "+at(-time.Hour))
	for name, c := range map[string]struct {
		asked []Variant
		with  http.Header
		want  []int
	}{
		"4.3.4 a strong tag":                 {[]Variant{kept(`ETag: "b"`), kept(`ETag: "a"`)}, header(`ETag: "a"`), []int{1}},
		"4.3.4 of several":                   {[]Variant{old, kept(`ETag: "a"`)}, header(`ETag: "a"`), []int{1, 0}},
		"4.3.4 of none":                      {[]Variant{kept(`ETag: "a"`)}, header(`ETag: "b"`), nil},
		"4.3.4 a weak tag, the most recent":  {[]Variant{kept(`ETag: W/"a"`, "Date: "+at(-time.Hour)), kept(`ETag: W/"a"`)}, header(`ETag: W/"a"`), []int{1}},
		"4.3.4 a date":                       {[]Variant{kept("Last-Modified: x"), kept("Last-Modified: y")}, header("Last-Modified: x"), []int{0}},
		"4.3.4 a tag and another date":       {[]Variant{kept(`ETag: "a"`, "Last-Modified: x")}, header(`ETag: "a"`, "Last-Modified: y"), []int{0}},
		"4.3.4 another tag and the date":     {[]Variant{kept(`ETag: "a"`, "Last-Modified: x")}, header(`ETag: "b"`, "Last-Modified: x"), nil},
		"4.3.4 another date":                 {[]Variant{kept("Last-Modified: x")}, header("Last-Modified: y"), nil},
		"4.3.4 nothing, and only one":        {[]Variant{kept("Last-Modified: x")}, nil, []int{0}},
		"4.3.4 nothing, and two":             {[]Variant{kept(`ETag: "a"`), kept(`ETag: "b"`)}, nil, nil},
		"4.3.4 a tag made weak on its way":   {[]Variant{kept(`ETag: "a"`)}, header(`ETag: W/"a"`), []int{0}},
		"9110 8.8.3 a tag without quotes":    {[]Variant{kept(`ETag: a`)}, header(`ETag: "a"`), []int{0}},
		"4.3.4 a tag where none was":         {[]Variant{kept("Last-Modified: x")}, header(`ETag: "a"`), nil},
		"4.3.4 nothing asked, so none meant": {nil, header(`ETag: "a"`), nil},
	} {
		if got := Confirmed(c.asked, Response{Status: 304, Header: c.with, Answered: noon}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestUpdated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kept, news, want http.Header }{
		"3.2 what the 304 has replaces": {
			header("Date: 1", "A: 1", "A: 2", "B: 3"), header("Date: 2", "A: 4", "C: 5"), header("Date: 2", "A: 4", "B: 3", "C: 5")},
		"3.2 but not what describes the bytes": {
			header("Date: 1", "Content-Length: 5", "Content-Encoding: gzip", "Content-Range: x", "Content-Type: a/b"),
			header("Date: 2", "Content-Length: 6", "Content-Encoding: br", "Content-Range: y", "Content-Type: c/d"),
			header("Date: 2", "Content-Length: 5", "Content-Encoding: gzip", "Content-Range: x", "Content-Type: c/d")},
		"3.2 nor adds it": {
			header("Date: 1"), header("Date: 2", "Content-Length: 0", "Content-Encoding: br"), header("Date: 2")},
		"3.1 nor what is of the connection": {
			header("Date: 1"), header("Date: 2", "Connection: a", "A: 1", "Keep-Alive: 5"), header("Date: 2")},
		"5.2.2.4 nor what is under no-cache": {
			header("Date: 1", "A: 1"), header("Date: 2", `Cache-Control: no-cache="a"`, "A: 2"), header("Date: 2", `Cache-Control: no-cache="a"`)},
		"5.2.2.4 nor what was under it before": {
			header("Date: 1", `Cache-Control: no-cache="a"`), header("Date: 2", "A: 2"), header("Date: 2", `Cache-Control: no-cache="a"`)},
		"4.2.3 Age is the message's": {header("Date: 1", "Age: 1000"), header("Date: 2"), header("Date: 2")},
		"4.2.3 and so is Date":       {header("Date: 1"), nil, header("Date: " + at(time.Hour))},
		"4.3.4 a strong tag stays":   {header("Date: 1", `ETag: "a"`), header("Date: 2", `ETag: W/"a"`), header("Date: 2", `ETag: "a"`)},
		"4.3.4 a weak one may become strong": {
			header("Date: 1", `ETag: W/"a"`), header("Date: 2", `ETag: "a"`), header("Date: 2", `ETag: "a"`)},
	} {
		was := Response{Status: 200, Header: c.kept, Asked: noon, Answered: noon}
		before := c.kept.Clone()
		later := Response{Status: 304, Header: c.news, Asked: noon.Add(time.Hour), Answered: noon.Add(time.Hour)}
		got := was.Updated(later)
		if !equal(got.Header, c.want) {
			t.Errorf("%s: %q, want %q", name, got.Header, c.want)
		}
		if got.Status != 200 || !got.Asked.Equal(later.Asked) || !got.Answered.Equal(later.Answered) {
			t.Errorf("%s: %+v", name, got)
		}
		if !equal(was.Header, before) {
			t.Errorf("%s: it changed what was kept", name)
		}
	}
}

func TestUpdatedByHead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kept http.Header
		head Response
		want string // its A
		good bool
	}{
		"4.3.5 nothing to compare":     {header("A: 1"), Response{Status: 200, Header: header("A: 2")}, "2", true},
		"4.3.5 all equal":              {header("A: 1", `ETag: "a"`, "Content-Length: 5"), Response{Status: 200, Header: header("A: 2", `ETag: "a"`, "Content-Length: 5")}, "2", true},
		"4.3.5 another tag":            {header("A: 1", `ETag: "a"`), Response{Status: 200, Header: header("A: 2", `ETag: "b"`)}, "1", false},
		"4.3.5 another date":           {header("A: 1", "Last-Modified: x"), Response{Status: 200, Header: header("A: 2", "Last-Modified: y")}, "1", false},
		"4.3.5 a tag where none was":   {header("A: 1"), Response{Status: 200, Header: header("A: 2", `ETag: "b"`)}, "1", false},
		"4.3.5 another length":         {header("A: 1", "Content-Length: 5"), Response{Status: 200, Header: header("A: 2", "Content-Length: 6")}, "1", false},
		"4.3.5 a length now":           {header("A: 1"), Response{Status: 200, Header: header("A: 2", "Content-Length: 6")}, "2", true},
		"4.3.5 no length now":          {header("A: 1", "Content-Length: 5"), Response{Status: 200, Header: header("A: 2")}, "2", true},
		"4.3.5 an error tells nothing": {header("A: 1"), Response{Status: 410, Header: header("A: 2")}, "1", true},
	} {
		was := Response{Status: 200, Header: c.kept, Asked: noon, Answered: noon}
		if got, good := was.UpdatedByHead(c.head); got.Header.Get("A") != c.want || good != c.good {
			t.Errorf("%s: %q, %v, want %q, %v", name, got.Header.Get("A"), good, c.want, c.good)
		}
	}
}
