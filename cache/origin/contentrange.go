// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"math"
	"strconv"
	"strings"
)

// contentRange is a Content-Range field (RFC 9110 section 14.4).
type contentRange struct {
	first, last int64 // -1: no range of the representation could be given
	size        int64 // -1: not known
}

// parseContentRange reads the field by its grammar and no more generously, as it decides where bytes are written:
//
//	Content-Range = range-unit SP ( range-resp / unsatisfied-range )
//	range-resp = first-pos "-" last-pos "/" ( complete-length / "*" )
//	unsatisfied-range = "*/" complete-length
func parseContentRange(s string) (contentRange, bool) {
	unit, s, _ := strings.Cut(s, " ")
	if !strings.EqualFold(unit, "bytes") { // names of units are case-insensitive (section 14.1)
		return contentRange{}, false
	}
	span, length, found := strings.Cut(s, "/")
	if !found {
		return contentRange{}, false
	}
	if span == "*" {
		size, ok := parsePosition(length)
		return contentRange{-1, -1, size}, ok
	}
	from, to, _ := strings.Cut(span, "-")
	first, ok1 := parsePosition(from)
	last, ok2 := parsePosition(to)
	size, ok3 := int64(-1), true
	if length != "*" {
		size, ok3 = parsePosition(length)
	}
	// A recipient must not make anything of a last position before the first, or of a length that does not hold it.
	if !ok1 || !ok2 || !ok3 || last < first || size >= 0 && last >= size {
		return contentRange{}, false
	}
	return contentRange{first, last, size}, true
}

// parsePosition reads 1*DIGIT. The greatest number is left out, so that one can be added to any other.
func parsePosition(s string) (int64, bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false // strconv takes signs
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n < math.MaxInt64
}
