// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// header makes a header of "Name: value" lines.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimLeft(value, " "))
	}
	return h
}

func TestDirectiveSeconds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines        []string
		want         time.Duration
		given, valid bool
	}{
		"5.2 a token":                    {[]string{"max-age=60"}, time.Minute, true, true},
		"5.2 any case":                   {[]string{"MaX-aGe=60"}, time.Minute, true, true},
		"5.2 a quoted-string":            {[]string{`max-age="60"`}, time.Minute, true, true},
		"5.2 with escapes":               {[]string{`max-age="\60"`}, time.Minute, true, true},
		"5.2 among unknown ones":         {[]string{"foo, max-age=60, bar=1"}, time.Minute, true, true},
		"5.2 not within quotes":          {[]string{`foo="max-age=1", max-age=60`}, time.Minute, true, true},
		"5.2 quotes after an escape":     {[]string{`foo="\", max-age=1", max-age=60`}, time.Minute, true, true},
		"5.2 on the second line":         {[]string{"public", "max-age=60"}, time.Minute, true, true},
		"5.2 after an open quote's line": {[]string{`foo="bar`, "max-age=60"}, time.Minute, true, true},
		"5.2 absent":                     {[]string{"no-store, s-maxage=5"}, 0, false, false},
		"5.2 no argument":                {[]string{"max-age"}, 0, true, false},
		"5.2 an empty argument":          {[]string{"max-age="}, 0, true, false},
		"5.2 space before =":             {[]string{"max-age =60"}, 0, true, false},
		"5.2 space after =":              {[]string{"max-age= 60"}, 0, true, false},
		"5.2 single quotes":              {[]string{"max-age='60'"}, 0, true, false},
		"5.2 an open quote":              {[]string{`max-age="60`}, 0, true, false},
		"5.2 more after a quote":         {[]string{`max-age="60"0`}, 0, true, false},
		"5.2 a semicolon":                {[]string{"max-age=60; public"}, 0, true, false},
		"4.2.1 the first of several":     {[]string{"max-age=60, max-age=1", "max-age=2"}, time.Minute, true, true},
		"1.2.2 leading zeros":            {[]string{"max-age=0000000000000000000000060"}, time.Minute, true, true},
		"1.2.2 negative":                 {[]string{"max-age=-60"}, 0, true, false},
		"1.2.2 a sign":                   {[]string{"max-age=+60"}, 0, true, false},
		"1.2.2 a fraction":               {[]string{"max-age=60.0"}, 0, true, false},
		"1.2.2 letters":                  {[]string{"max-age=60s"}, 0, true, false},
		"1.2.2 2^31":                     {[]string{"max-age=2147483648"}, mostSeconds * time.Second, true, true},
		"1.2.2 more than 2^31":           {[]string{"max-age=99999999999"}, mostSeconds * time.Second, true, true},
		"1.2.2 more than 2^63":           {[]string{"max-age=99999999999999999999"}, mostSeconds * time.Second, true, true},
	} {
		if got, given, valid := parseDirectives(c.lines).seconds("max-age"); got != c.want || given != c.given || valid != c.valid {
			t.Errorf("%s: %q: %v, %v, %v, want %v, %v, %v", name, c.lines, got, given, valid, c.want, c.given, c.valid)
		}
	}
}

func TestDirectiveFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line      string
		want      []string
		unlimited bool
	}{
		"5.2.2.4 absent":                 {"public", nil, false},
		"5.2.2.4 of all":                 {"no-cache", nil, true},
		"5.2.2.4 of one field":           {`no-cache="a"`, []string{"A"}, false},
		"5.2.2.4 of two":                 {`no-cache="set-cookie, B"`, []string{"Set-Cookie", "B"}, false},
		"5.2.2.4 of one, as a token":     {"no-cache=a", []string{"A"}, false},
		"5.2.2.4 twice":                  {`no-cache="a", no-cache="b"`, []string{"A", "B"}, false},
		"5.2.2.4 of one, then of all":    {`no-cache="a", no-cache`, nil, true},
		"5.2.2.4 of none is of all":      {`no-cache=""`, nil, true},
		"5.2.2.4 an open quote: of all":  {`no-cache="a`, nil, true},
		"5.2.2.4 a semicolon: of all":    {"no-cache; a", nil, true},
		"5.2.2.4 space before =: of all": {`no-cache ="a"`, nil, true},
	} {
		if got, unlimited := parseDirectives([]string{c.line}).fields("no-cache"); !slices.Equal(got, c.want) || unlimited != c.unlimited {
			t.Errorf("%s: %q: %q, %v, want %q, %v", name, c.line, got, unlimited, c.want, c.unlimited)
		}
	}
}

func TestTargeted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  time.Duration // max-age
		used  bool
	}{
		"9213 2.1 a lifetime":                  {[]string{"max-age=60"}, time.Minute, true},
		"9213 2.1 parameters mean nothing":     {[]string{`max-age=60;a;b="c", foo`}, time.Minute, true},
		"9213 2.1 lines are joined":            {[]string{"foo", "max-age=60"}, time.Minute, true},
		"9213 2.1 tabs around a comma":         {[]string{"foo\t,\tmax-age=60"}, time.Minute, true},
		"9213 2.1 absent":                      {nil, 0, false},
		"9213 2.1 empty":                       {[]string{""}, 0, false},
		"9213 2.1 nothing that is true":        {[]string{"no-store=?0"}, 0, false},
		"9213 2.1 a lifetime that is a String": {[]string{`max-age="60"`}, 0, false},
		"9213 2.1 a lifetime that is a flag":   {[]string{"max-age"}, 0, false},
		"9213 2.1 a lifetime with a fraction":  {[]string{"max-age=60.5"}, 0, false},
		"9651 3.2 the last of several":         {[]string{"max-age=1, max-age=60"}, time.Minute, true},
		"9651 3.2 any type":                    {[]string{`a=1.5, b="c\"", c=d/e, d=:YQ==:, e=(1 "a";b c), f=?1, g=@5, h=-1, i=(), j=::, max-age=60`}, time.Minute, true},
		"9651 3.1.2 keys are of small letters": {[]string{"MaX-aGe=60"}, 0, false},
		"9651 4.2 not a type":                  {[]string{"max-age=60, &&&"}, 0, false},
		"9651 4.2 space before =":              {[]string{"max-age =60"}, 0, false},
		"9651 4.2 space after =":               {[]string{"max-age= 60"}, 0, false},
		"9651 4.2 a comma at the end":          {[]string{"max-age=60,"}, 0, false},
		"9651 4.2 no comma":                    {[]string{"max-age=60 foo"}, 0, false},
		"9651 4.2 an open String":              {[]string{`max-age=60, a="b`}, 0, false},
		"9651 4.2 an unknown escape":           {[]string{`max-age=60, a="\b"`}, 0, false},
		"9651 4.2 an open list":                {[]string{"max-age=60, a=(b"}, 0, false},
		"9651 4.2 members without space":       {[]string{`max-age=60, a=("b""c")`}, 0, false},
		"9651 4.2 not a Boolean":               {[]string{"max-age=60, a=?2"}, 0, false},
		"9651 4.2 an open Byte Sequence":       {[]string{"max-age=60, a=:YQ"}, 0, false},
		"9651 4.2 a Date with a fraction":      {[]string{"max-age=60, a=@1.5"}, 0, false},
		"9651 4.2 too many digits":             {[]string{"max-age=1234567890123456"}, 0, false},
		"9651 4.2 no digits":                   {[]string{"max-age=-"}, 0, false},
		"9651 4.2 not ASCII":                   {[]string{"max-age=60, a=\"\u00fc\""}, 0, false},
	} {
		d, used := parseTargeted(c.lines)
		if got, _, _ := d.seconds("max-age"); got != c.want || used != c.used {
			t.Errorf("%s: %q: %v, %v, want %v, %v", name, c.lines, got, used, c.want, c.used)
		}
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for name, c := range map[string]struct {
		s    string
		want time.Time
	}{
		"9110 5.6.7 IMF-fixdate":               {"Sun, 06 Nov 1994 08:49:37 GMT", want},
		"9110 5.6.7 rfc850-date":               {"Sunday, 06-Nov-94 08:49:37 GMT", want},
		"9110 5.6.7 asctime-date":              {"Sun Nov  6 08:49:37 1994", want},
		"9110 5.6.7 asctime-date, two digits":  {"Wed Nov 16 08:49:37 1994", want.AddDate(0, 0, 10)},
		"9110 5.6.7 any case":                  {"SUN, 06 nOV 1994 08:49:37 gMT", want},
		"9110 5.6.7 50 years in the future":    {"Sunday, 06-Nov-76 08:49:37 GMT", want.AddDate(82, 0, 0)},
		"9110 5.6.7 51 are in the past":        {"Sunday, 06-Nov-77 08:49:37 GMT", want.AddDate(-17, 0, 0)},
		"9110 5.6.7 far in the future":         {"Sun, 21 Nov 2286 04:46:39 GMT", time.Date(2286, 11, 21, 4, 46, 39, 0, time.UTC)},
		"9110 5.6.7 a leap second":             {"Sat, 31 Dec 2016 23:59:60 GMT", time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)},
		"9110 5.6.7 another zone":              {"Sun, 06 Nov 1994 08:49:37 UTC", time.Time{}},
		"9110 5.6.7 two digits":                {"Sun, 06 Nov 94 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 no comma":                  {"Sun 06 Nov 1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 two spaces":                {"Sun, 06  Nov  1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 dashes":                    {"Sun, 06-Nov-1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 periods":                   {"Sun, 06 Nov 1994 08.49.37 GMT", time.Time{}},
		"9110 5.6.7 an hour of one digit":      {"Sun, 06 Nov 1994 8:49:37 GMT", time.Time{}},
		"9110 5.6.7 a short name in an rfc850": {"Sun, 06-Nov-94 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 a long name in a fixdate":  {"Sunday, 06 Nov 1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 no such day":               {"Sun, 31 Nov 1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 no such month":             {"Sun, 06 Nom 1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 no such hour":              {"Sun, 06 Nov 1994 24:49:37 GMT", time.Time{}},
		"9110 5.6.7 day zero":                  {"Sun, 00 Nov 1994 08:49:37 GMT", time.Time{}},
		"9110 5.6.7 a number":                  {"0", time.Time{}},
		"9110 5.6.7 nothing":                   {"", time.Time{}},
	} {
		got, ok := parseDate(c.s, now)
		if !ok {
			got = time.Time{}
		}
		if !got.Equal(c.want) {
			t.Errorf("%s: %q: %v, want %v", name, c.s, got, c.want)
		}
	}
}

func FuzzDirectives(f *testing.F) {
	for _, s := range []string{"", "max-age=60, no-cache=\"a, b\"", `a="\"`, `"`, "=", ",,,", "private; max-age=1", "max-age=\"6\\0\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := parseDirectives([]string{line})
		for _, one := range d {
			if one.name == "" || tokenLength(one.name) != len(one.name) || one.name != strings.ToLower(one.name) {
				t.Fatalf("%q has a directive %q", line, one.name)
			}
			if s, _, valid := d.seconds(one.name); valid && (s < 0 || s > mostSeconds*time.Second) {
				t.Fatalf("%q: %s is %v", line, one.name, s)
			}
		}
		// What follows on a line of its own is read, whatever stands before it.
		if both := parseDirectives([]string{line, "no-store"}); len(both) != len(d)+1 || !both.has("no-store") {
			t.Fatalf("%q hides the next line", line)
		}
	})
}

func FuzzTargeted(f *testing.F) {
	for _, s := range []string{"max-age=60", `a=1.5;b=?0, c="d\\", e=(f g);h, i=:YQ==:, j=@1`, "a=(", "*", "a=:", "?", "max-age=999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d, ok := parseTargeted([]string{line})
		if ok != (len(d) > 0) {
			t.Fatalf("%q: %v, %v", line, d, ok)
		}
		if _, more := parseTargeted([]string{line, "no-store"}); ok && !more {
			t.Fatalf("%q is a dictionary, with another member it is none", line)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 31 08:49:60 1994"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseDate(s, now)
		if !ok {
			return
		}
		// Whatever form it had, it is the same date in the form that is sent.
		if again, ok := parseDate(got.Format(http.TimeFormat), now); !ok || !again.Equal(got) {
			t.Fatalf("%q is %v, and that %v", s, got, again)
		}
	})
}
