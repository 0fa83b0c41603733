// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Outcome is what a client's conditions make of a kept answer.
type Outcome uint8

// The outcomes.
const (
	Whole       Outcome = iota // the whole answer; a Range is to be ignored
	Ranges                     // what the Range asks for
	NotModified                // 304: the client has it
	Origins                    // conditions that only the origin may evaluate: the request is to be forwarded
)

// Evaluate applies the conditions of a request to a kept answer that may be used for it (RFC 9110 section 13.2.2, RFC
// 9111 section 4.3.2).
//
// It comes before http.ServeContent, which serves the ranges if it gets a request without the conditions, and without
// Range unless the outcome is Ranges. ServeContent alone would not do: it knows no entity tag but a well formed one, no
// If-Modified-Since for answers without Last-Modified, serves a Range of a HEAD, and refuses units that it does not
// know where they are to be ignored (RFC 9110 section 14.2).
func Evaluate(request Request, stored Response) Outcome {
	header := request.Header
	get := request.Method == http.MethodGet
	if len(header["If-Match"])+len(header["If-Unmodified-Since"]) > 0 {
		return Origins
	}
	if !get && request.Method != http.MethodHead || stored.Status < 200 || stored.Status >= 300 {
		return Whole // conditions are for what would have been a 2xx (RFC 9110 section 13.2.1)
	}
	if lines := header["If-None-Match"]; len(lines) > 0 {
		if matchesAny(lines, stored.Header.Get("Etag")) {
			return NotModified
		}
	} else if unmodified(header["If-Modified-Since"], stored) {
		return NotModified
	}
	if lines := header["Range"]; get && len(lines) == 1 && strings.HasPrefix(lines[0], "bytes=") && ifRange(header["If-Range"], stored) {
		return Ranges
	}
	return Whole
}

// unmodified reports whether a kept answer is of before the date that the client gives. Where it has no Last-Modified
// its Date counts (RFC 9111 section 4.3.2).
func unmodified(lines []string, stored Response) bool {
	if len(lines) != 1 {
		return false
	}
	since, ok := parseDate(lines[0], stored.Answered)
	if !ok {
		return false
	}
	modified, ok := parseDate(stored.Header.Get("Last-Modified"), stored.Answered)
	if !ok {
		modified = stored.date()
	}
	return !modified.After(since)
}

// ifRange reports whether the client's part is of the answer's representation, or it did not ask. Only strong
// validators tell (RFC 9110 section 13.1.5).
func ifRange(lines []string, stored Response) bool {
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	is := stored.Validator()
	if strings.HasSuffix(lines[0], `"`) {
		return is.Same(cache.Validator{ETag: lines[0]})
	}
	is.ETag = ""
	return is.Same(cache.Validator{LastModified: lines[0], StrongDate: true})
}

// matchesAny reports whether one of the tags of an If-None-Match is the answer's, in the weak comparison (RFC 9110
// section 13.1.2).
func matchesAny(lines []string, tag string) bool {
	for _, line := range lines {
		for _, one := range list(line, false) {
			if one == "*" || sameTag(one, tag) {
				return true
			}
		}
	}
	return false
}

// sameTag is the weak comparison (RFC 9110 section 8.8.3.2). An origin that sends its tags without quotes gets them
// back as its clients know them, with or without.
func sameTag(a, b string) bool {
	return a != "" && b != "" && opaque(a) == opaque(b)
}

func opaque(tag string) string {
	tag = strings.TrimPrefix(tag, "W/")
	if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		return tag[1 : len(tag)-1]
	}
	return tag
}

func strong(tag string) bool { return strings.HasPrefix(tag, `"`) }
