// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestVary(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header http.Header
		want   []string
		more   bool
	}{
		"9110 12.5.5 absent":       {nil, nil, false},
		"9110 12.5.5 empty":        {header("Vary:"), nil, false},
		"9110 12.5.5 one":          {header("Vary: accept-encoding"), []string{"Accept-Encoding"}, false},
		"9110 12.5.5 several":      {header("Vary: foo,Bar", "Vary: FOO"), []string{"Bar", "Foo"}, false},
		"9110 12.5.5 *":            {header("Vary: *"), nil, true},
		"9110 12.5.5 *, *":         {header("Vary: *, *"), nil, true},
		"9110 12.5.5 among others": {header("Vary: foo", "Vary: , *"), []string{"Foo"}, true},
	} {
		if got, more := Vary(c.header); !slices.Equal(got, c.want) || more != c.more {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, more, c.want, c.more)
		}
	}
}

func TestVariantMatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		vary      string
		kept, now http.Header
		want      bool
	}{
		"4.1 nothing named":                  {"", header("Foo: 1"), header("Foo: 2"), true},
		"4.1 equal":                          {"Foo", header("Foo: 1"), header("Foo: 1"), true},
		"4.1 another value":                  {"Foo", header("Foo: 1"), header("Foo: 2"), false},
		"4.1 another field":                  {"Foo", header("Foo: 1", "Bar: 1"), header("Foo: 1", "Bar: 2"), true},
		"4.1 one of two":                     {"Foo, Bar", header("Foo: 1", "Bar: 1"), header("Foo: 1", "Bar: 2"), false},
		"4.1 absent from both":               {"Foo, Bar", header("Foo: 1"), header("Foo: 1"), true},
		"4.1 absent now":                     {"Foo", header("Foo: 1"), nil, false},
		"4.1 absent then":                    {"Foo", nil, header("Foo: 1"), false},
		"4.1 absent is not empty":            {"Foo", header("Foo:"), nil, false},
		"4.1 *":                              {"*", nil, nil, false},
		"4.1 * among others":                 {"Foo, *", header("Foo: 1"), header("Foo: 1"), false},
		"4.1 lines are combined":             {"Foo", header("Foo: 1, 2"), header("Foo: 1", "Foo: 2"), true},
		"4.1 in order":                       {"Foo", header("Foo: 1, 2"), header("Foo: 2", "Foo: 1"), false},
		"4.1 white space":                    {"Foo", header("Foo: 1,2"), header("Foo:  1 ,\t2 "), true},
		"4.1 white space in quotes":          {"Foo", header(`Foo: "1,2"`), header(`Foo: "1, 2"`), false},
		"4.1 case":                           {"Foo", header("Foo: a"), header("Foo: A"), false},
		"9110 12.5.4 languages' order":       {"Accept-Language", header("Accept-Language: en, de"), header("Accept-Language: de, en"), true},
		"9110 12.5.4 languages' case":        {"Accept-Language", header("Accept-Language: en, de"), header("Accept-Language: eN, De"), true},
		"9110 12.5.4 languages' weights":     {"Accept-Language", header("Accept-Language: en, de;q=0.5"), header("Accept-Language: en;q=0.5, de"), false},
		"9110 12.5.4 space in weights":       {"Accept-Language", header("Accept-Language: en; q=0.5"), header("Accept-Language: en;q=0.5"), true},
		"9110 12.5.3 codings":                {"Accept-Encoding", header("Accept-Encoding: gzip, br"), header("Accept-Encoding: BR,gzip"), true},
		"9110 12.5.3 other codings":          {"Accept-Encoding", header("Accept-Encoding: gzip, br"), header("Accept-Encoding: gzip"), false},
		"9110 12.5.1 types' order":           {"Accept", header("Accept: a/b, c/d;q=0.1"), header("Accept: c/d;q=0.1, a/b"), true},
		"9110 7.6.1 nominated in Connection": {"Foo", header("Foo: 1", "Connection: foo"), header("Foo: 1"), false},
		"9110 7.6.1 and by both":             {"Foo", header("Foo: 1", "Connection: foo"), header("Foo: 2", "Connection: close, FOO"), true},
		"9110 7.6.1 never forwarded":         {"TE", header("TE: a"), header("TE: b"), true},
		"one field's value beside the next":  {"A, B", header("A: 1", "B: 2"), header("A: 1,B:2"), false},
	} {
		vary := []string{c.vary}
		if c.vary == "" {
			vary = nil
		}
		v := Variant{Response: Response{Header: http.Header{"Vary": vary}}}
		names, _ := Vary(v.Response.Header)
		v.Selecting = Selecting(names, c.kept)
		if got := v.Matches(c.now); got != c.want {
			t.Errorf("%s: Vary: %s, %q, %q: %v, want %v", name, c.vary, c.kept, c.now, got, c.want)
		}
	}
}

func TestSelecting(t *testing.T) {
	t.Parallel()
	request := header("Foo: 1", "Foo: 2", "Bar: 3")
	got := Selecting([]string{"Baz", "Foo"}, request)
	if want := header("Foo: 1", "Foo: 2"); !equal(got, want) {
		t.Errorf("Selecting = %q, want %q", got, want)
	}
	got["Foo"][0] = "4"
	if request.Get("Foo") != "1" {
		t.Error("Selecting shares its lines with the request")
	}
}

func TestVariantKey(t *testing.T) {
	t.Parallel()
	// A store has these on its disk: they must stay the same.
	for want, vary := range map[string][]string{
		"e3b0c44298fc1c149afbf4c8996fb924": nil,
		"12c2d4331726ba81613293bc51129a58": {"Accept-Encoding"},
	} {
		if got := VariantKey(vary, header("Accept-Encoding: gzip, br")); got != want {
			t.Errorf("%q: %s, want %s", vary, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	kept := func(date time.Duration, vary, foo string) Variant {
		h := header("Date: " + at(date))
		if vary != "" {
			h.Set("Vary", vary)
		}
		return Variant{Response: Response{Header: h, Answered: noon}, Selecting: header("Foo: " + foo)}
	}
	for name, c := range map[string]struct {
		variants []Variant
		want     int
	}{
		"4.1 nothing kept":             {nil, -1},
		"4.1 none matches":             {[]Variant{kept(0, "Foo", "2"), kept(0, "*", "1")}, -1},
		"4.1 the one that matches":     {[]Variant{kept(0, "Foo", "2"), kept(0, "Foo", "1")}, 1},
		"4.1 the most recent":          {[]Variant{kept(-time.Hour, "Foo", "1"), kept(0, "Foo", "1"), kept(-time.Minute, "", "")}, 1},
		"4.1 of two Varys":             {[]Variant{kept(0, "", ""), kept(-time.Hour, "Foo", "1")}, 0},
		"4.1 the first of equal dates": {[]Variant{kept(0, "Foo", "1"), kept(0, "", "")}, 0},
	} {
		if got := Choose(c.variants, header("Foo: 1")); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func FuzzVariantKey(f *testing.F) {
	f.Add("Accept-Language", "en, de", "de;q=0.5")
	f.Add("Foo", `"a, b`, "\\")
	f.Add("Foo", "", " ,")
	f.Fuzz(func(t *testing.T, name, a, b string) {
		vary := []string{name}
		both := http.Header{name: {a, b}}
		// What is normal is normal when it comes again.
		value, _ := normal(name, both[name])
		if again, _ := normal(name, []string{value}); again != value && !slices.ContainsFunc(both[name], open) {
			t.Fatalf("%s: %q of %q and %q becomes %q", name, value, a, b, again)
		}
		v := Variant{Response: Response{Header: http.Header{"Vary": vary}}}
		names, more := Vary(v.Response.Header)
		v.Selecting = Selecting(names, both)
		if !more && !v.Matches(both) {
			t.Fatalf("%s: %q does not match what it was kept for", name, both)
		}
	})
}

// open reports whether a quote in s is not closed. Whatever follows such a line is of it, once they are one.
func open(s string) bool {
	members := list(s+`,"`, true)
	return len(members) == 0 || members[len(members)-1] != `"`
}
