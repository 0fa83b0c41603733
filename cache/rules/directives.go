// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// directive is one of Cache-Control's:
//
//	cache-directive = token [ "=" ( token / quoted-string ) ]    RFC 9111 section 5.2
type directive struct {
	name   string // in lower case
	value  string // without its quotes
	valued bool
	bad    bool // not of this grammar; a restriction still counts, a permission does not
}

type directives []directive

// parseDirectives reads the lines of a Cache-Control field. Lines are read one by one, so that a quote that is never
// closed does not swallow the next line's directives.
func parseDirectives(lines []string) directives {
	var all directives
	for _, line := range lines {
		for _, element := range list(line, true) {
			// The name is what begins as a token. A "private; max-age=60" is then a bad private, not an unknown directive
			// that would be ignored.
			end := tokenLength(element)
			if end == 0 {
				continue
			}
			d := directive{name: strings.ToLower(element[:end])}
			if rest := element[end:]; rest != "" {
				d.valued = rest[0] == '='
				d.value, d.bad = unquote(rest[1:])
				d.bad = d.bad || !d.valued
			}
			all = append(all, d)
		}
	}
	return all
}

// unquote takes the quotes off a quoted-string (RFC 9110 section 5.6.4), and reports whether what it got is neither
// one nor a token.
func unquote(s string) (value string, bad bool) {
	if !strings.HasPrefix(s, `"`) {
		return s, s == "" || tokenLength(s) != len(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i != len(s)-1
		case '\\':
			if i++; i == len(s) {
				return b.String(), true
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// tokenLength is how many bytes at the beginning of s are a token (RFC 9110 section 5.6.2).
func tokenLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || digit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return i
		}
	}
	return len(s)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// list splits a field's line at the commas that no quotes enclose, and drops white space and empty elements (RFC 9110
// section 5.6.1). Escapes says whether a backslash hides a quote from it, which it does in a quoted-string and does
// not in an entity tag.
func list(line string, escapes bool) []string {
	var all []string
	quoted, begin := false, 0
	add := func(end int) {
		if element := strings.Trim(line[begin:end], " \t"); element != "" {
			all = append(all, element)
		}
		begin = end + 1
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && escapes:
			i++
		case c == ',' && !quoted:
			add(i)
		}
	}
	add(len(line))
	return all
}

func (d directives) has(name string) bool {
	return slices.ContainsFunc(d, func(one directive) bool { return one.name == name })
}

// seconds returns the argument of the first directive of that name: of several, the first counts (RFC 9111 section
// 4.2.1).
func (d directives) seconds(name string) (s time.Duration, given, valid bool) {
	i := slices.IndexFunc(d, func(one directive) bool { return one.name == name })
	if i < 0 {
		return 0, false, false
	}
	if d[i].bad {
		return 0, true, false
	}
	s, valid = parseSeconds(d[i].value)
	return s, true, valid
}

// fields returns what a no-cache or private is limited to, and whether there is an unlimited one.
func (d directives) fields(name string) (fields []string, unlimited bool) {
	for _, one := range d {
		if one.name != name {
			continue
		}
		names := list(one.value, false)
		if one.bad || len(names) == 0 {
			return nil, true
		}
		for _, field := range names {
			fields = append(fields, http.CanonicalHeaderKey(field))
		}
	}
	return fields, false
}

// mostSeconds stands for all that is longer: 68 years (RFC 9111 section 1.2.2).
const mostSeconds = 1 << 31

// parseSeconds reads delta-seconds, which are digits only (RFC 9111 section 1.2.2).
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > mostSeconds { // digits only, so an error is one of range
		n = mostSeconds
	}
	return time.Duration(n) * time.Second, true
}

// said returns the directives that this cache obeys, and whether they are CDN-Cache-Control's, by which Cache-Control
// and Expires are void (RFC 9213 section 2.2).
func said(header http.Header) (d directives, targeted bool) {
	if d, ok := parseTargeted(header["Cdn-Cache-Control"]); ok {
		return d, true
	}
	return parseDirectives(header["Cache-Control"]), false
}
