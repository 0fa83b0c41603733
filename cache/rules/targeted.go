// SPDX-License-Identifier: Apache-2.0

package rules

import "strings"

// parseTargeted reads CDN-Cache-Control, a Dictionary of RFC 9651. It reports false if the field is absent, empty or
// cannot be read: then it is as if it had not been sent (RFC 9213 section 2.1). A freshness lifetime that is not an
// Integer counts as that, since a sender who quotes it believes in another grammar.
func parseTargeted(lines []string) (directives, bool) {
	p := structured{rest: strings.Trim(strings.Join(lines, ","), " ")}
	var all directives
	for p.rest != "" {
		d := directive{name: p.key()}
		kind, value := boolean, "1"
		if p.skip("=") {
			kind, value = p.value()
		}
		p.parameters()
		if p.failed {
			return nil, false
		}
		switch d.name {
		case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
			if kind != integer {
				return nil, false
			}
		}
		if kind != boolean {
			d.value, d.valued = value, true
		}
		// A key that comes again replaces what came before it (RFC 9651 section 4.2.2).
		all = all.without(d.name)
		if d.valued || value == "1" {
			all = append(all, d)
		}
		p.rest = strings.TrimLeft(p.rest, " \t")
		if p.rest == "" {
			break
		}
		if !p.skip(",") {
			return nil, false
		}
		if p.rest = strings.TrimLeft(p.rest, " \t"); p.rest == "" {
			return nil, false // a comma at the end
		}
	}
	return all, len(all) > 0
}

func (d directives) without(name string) directives {
	var left directives
	for _, one := range d {
		if one.name != name {
			left = append(left, one)
		}
	}
	return left
}

// structured reads a structured field from its beginning (RFC 9651 section 4.2).
type structured struct {
	rest   string
	failed bool
}

// kind is a type of RFC 9651's, as far as the rules tell them apart.
type kind uint8

const (
	other kind = iota
	boolean
	integer
	text // a String or a Token
)

func (p *structured) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

// take takes the bytes for which ok, at least one.
func (p *structured) take(ok func(byte) bool) string {
	n := 0
	for n < len(p.rest) && ok(p.rest[n]) {
		n++
	}
	if n == 0 {
		p.failed = true
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *structured) key() string {
	if p.rest == "" || !lower(p.rest[0]) && p.rest[0] != '*' {
		p.failed = true
		return ""
	}
	return p.take(func(c byte) bool { return lower(c) || digit(c) || strings.IndexByte("_-.*", c) >= 0 })
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }

func (p *structured) parameters() {
	for !p.failed && p.skip(";") {
		p.rest = strings.TrimLeft(p.rest, " ")
		p.key()
		if p.skip("=") {
			p.item()
		}
	}
}

// value reads what a key is of: an Item or an Inner List.
func (p *structured) value() (kind, string) {
	if !p.skip("(") {
		return p.item()
	}
	for !p.failed {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.skip(")") {
			return other, ""
		}
		p.item()
		p.parameters()
		if p.rest == "" || p.rest[0] != ' ' && p.rest[0] != ')' {
			p.failed = true
		}
	}
	return other, ""
}

// item reads a Bare Item.
func (p *structured) item() (kind, string) {
	if p.rest == "" {
		p.failed = true
		return other, ""
	}
	switch c := p.rest[0]; {
	case c == '-' || digit(c):
		return p.number()
	case c == '"':
		return text, p.string()
	case c == '?':
		for _, b := range []string{"0", "1"} {
			if p.skip("?" + b) {
				return boolean, b
			}
		}
		p.failed = true
		return other, ""
	case c == '*' || lower(c) || 'A' <= c && c <= 'Z':
		return text, p.take(func(c byte) bool { return c == ':' || c == '/' || tokenLength(string(c)) == 1 })
	case c == ':':
		p.skip(":")
		if !p.skip(":") {
			p.take(func(c byte) bool { return c == '+' || c == '/' || c == '=' || tokenLength(string(c)) == 1 })
			p.failed = !p.skip(":") || p.failed
		}
		return other, ""
	case c == '@':
		p.skip("@")
		if k, _ := p.number(); k != integer {
			p.failed = true
		}
		return other, ""
	}
	// A Display String is of no directive's type, so its escapes need no reading.
	p.failed = true
	return other, ""
}

// number reads an Integer of at most 15 digits or a Decimal of at most 12 and 3.
func (p *structured) number() (kind, string) {
	sign := ""
	if p.skip("-") {
		sign = "-"
	}
	whole := p.take(digit)
	if !p.skip(".") {
		p.failed = p.failed || len(whole) > 15
		return integer, sign + whole
	}
	fraction := p.take(digit)
	p.failed = p.failed || len(whole) > 12 || len(fraction) > 3
	return other, ""
}

func (p *structured) string() string {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		c := p.rest[i]
		if c == '"' {
			p.rest = p.rest[i+1:]
			return b.String()
		}
		if c == '\\' {
			if i++; i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				break
			}
			c = p.rest[i]
		}
		if c < ' ' || c > '~' {
			break
		}
		b.WriteByte(c)
	}
	p.failed = true
	return ""
}
