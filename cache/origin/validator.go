// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// dateDistance makes a Last-Modified strong. RFC 9110 section 8.8.2.2 wants it far enough before the Date that two clocks
// cannot be the reason; a minute is what RFC 7232 had said.
const dateDistance = time.Minute

// validatorOf reads the validators of an answer. Those that are not well-formed are none: they could not be sent back.
func validatorOf(h http.Header) cache.Validator {
	var v cache.Validator
	if tags := h.Values("Etag"); len(tags) == 1 && entityTag(tags[0]) {
		v.ETag = tags[0]
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return v
	}
	v.LastModified = h.Get("Last-Modified")
	date, err := http.ParseTime(h.Get("Date"))
	v.StrongDate = err == nil && date.Sub(modified) >= dateDistance
	return v
}

// entityTag reports whether s is one: [ "W/" ] DQUOTE *etagc DQUOTE (RFC 9110 section 8.8.3). Blanks, which some servers
// put between the quotes, do no harm.
func entityTag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for _, c := range []byte(s[1 : len(s)-1]) {
		if c < ' ' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// sameRepresentation reports whether an answer is of the representation that was asked for, as far as its validators
// can tell. agreed says that the origin has answered an If-Range with a part, and by that said so itself.
//
// Unlike cache.Validator.Same it compares weak ones, too, which is the most that can be done about them, and does not
// want the answer's date to be strong: one that was when it was first seen cannot have been given to two versions.
func sameRepresentation(asked, got cache.Validator, agreed bool) bool {
	if asked.ETag != "" {
		if strings.HasPrefix(asked.ETag, "W/") {
			return weaklyEqual(asked.ETag, got.ETag)
		}
		return got.ETag == asked.ETag // a part always has it (RFC 9110 section 15.3.7)
	}
	if got.ETag != "" {
		return false
	}
	if got.LastModified == "" {
		return agreed // a part after If-Range need not repeat it (RFC 9110 section 15.3.7)
	}
	return got.LastModified == asked.LastModified
}

// weaklyEqual compares entity tags as If-None-Match does (RFC 9110 section 8.8.3.2).
func weaklyEqual(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }
