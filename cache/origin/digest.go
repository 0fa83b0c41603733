// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Digests returns what the whole representation of a part must hash to, as its origin says (RFC 9530), the strongest
// first. Repr-Digest is about the whole whatever part of it came, Content-Digest about what came. Of the algorithms only
// those that the RFC calls active are read. Two different digests of one algorithm are both returned: no bytes match
// both, so an origin that contradicts itself is found out.
func Digests(p *cache.Part) []cache.Digest {
	all := parseDigests(p.Header.Values("Repr-Digest"))
	if p.Status == http.StatusOK {
		for _, d := range parseDigests(p.Header.Values("Content-Digest")) {
			if !slices.ContainsFunc(all, func(o cache.Digest) bool { return o.String() == d.String() }) {
				all = append(all, d)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b cache.Digest) int { return len(b.Sum) - len(a.Sum) })
	return all
}

// sumSizes has the active algorithms by the names in IANA's registry.
var sumSizes = map[string]struct {
	name string
	size int
}{
	"sha-256": {"sha256", 32},
	"sha-512": {"sha512", 64},
}

// parseDigests reads a dictionary of byte sequences (RFC 9651 sections 3.2 and 3.3.5). A field with anything else in it,
// parameters included, is as if it were not there: that is what the RFC makes of one that does not parse, and a digest
// that is misread would be worse than none.
func parseDigests(lines []string) []cache.Digest {
	var found []cache.Digest
	rest := strings.Trim(strings.Join(lines, ", "), " ")
	for rest != "" {
		key, after, ok := strings.Cut(rest, "=:")
		if !ok || !isKey(key) {
			return nil
		}
		value, after, ok := strings.Cut(after, ":")
		if !ok {
			return nil
		}
		sum, ok := parseBytes(value)
		if !ok {
			return nil
		}
		if a, known := sumSizes[key]; known && len(sum) == a.size {
			// The last of several with one key is the one (section 4.2.2).
			found = slices.DeleteFunc(found, func(d cache.Digest) bool { return d.Algorithm == a.name })
			found = append(found, cache.Digest{Algorithm: a.name, Sum: sum})
		}
		if rest = strings.TrimLeft(after, " \t"); rest == "" {
			break
		}
		next, ok := strings.CutPrefix(rest, ",")
		if rest = strings.TrimLeft(next, " \t"); !ok || rest == "" {
			return nil // no comma, or none after it
		}
	}
	return found
}

// isKey reports whether s is a dictionary's key: ( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" ).
func isKey(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c == '*':
		case i > 0 && (c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// parseBytes decodes base64 whose padding may be missing (section 4.2.7).
func parseBytes(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return nil, false
	}
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return b, err == nil
}
