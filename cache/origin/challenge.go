// SPDX-License-Identifier: Apache-2.0

package origin

import "strings"

// challenge is what a server wants to know before it answers (RFC 9110 section 11.6.1).
type challenge struct {
	scheme string // in lower case
	params map[string]string
}

// parseChallenges reads the WWW-Authenticate fields of an answer:
//
//	WWW-Authenticate = #challenge
//	challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//	auth-param = token BWS "=" BWS ( token / quoted-string )
//
// What comes after something that it cannot read is left out.
func parseChallenges(fields []string) []challenge {
	var all []challenge
	for _, field := range fields {
		p := &challengeParser{field}
		for {
			p.skip(" \t,")
			word := p.token()
			if word == "" {
				break
			}
			begun := p.skip(" \t")
			if !p.next('=') { // a scheme, and not the name of a parameter
				all = append(all, challenge{strings.ToLower(word), map[string]string{}})
				if !begun && p.rest != "" && p.rest[0] != ',' {
					break
				}
				continue
			}
			p.skip(" \t")
			value, ok := p.value()
			if !ok || len(all) == 0 {
				break
			}
			params := all[len(all)-1].params
			if name := strings.ToLower(word); params[name] == "" { // each must occur only once
				params[name] = value
			}
		}
	}
	return all
}

type challengeParser struct{ rest string }

// skip passes over any of these characters, and reports whether there was one.
func (p *challengeParser) skip(chars string) bool {
	before := len(p.rest)
	p.rest = strings.TrimLeft(p.rest, chars)
	return len(p.rest) < before
}

func (p *challengeParser) next(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// token reads the characters of RFC 9110 section 5.6.2, and those that only token68 has.
func (p *challengeParser) token() string {
	end := strings.IndexFunc(p.rest, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`",;=()<>@?[]{}\`, c)
	})
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

// value reads a token or a quoted-string (section 5.6.4).
func (p *challengeParser) value() (string, bool) {
	if !p.next('"') {
		word := p.token()
		return word, word != ""
	}
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
