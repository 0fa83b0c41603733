// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

// Variant is one of the answers kept for a URI, and the part of the request that it was chosen by.
type Variant struct {
	Response Response `json:"response"`
	// Selecting are the fields that its Vary names, as [Selecting] returned them. They may hold what a client would not
	// like to see on a disk.
	Selecting http.Header `json:"selecting,omitempty"`
}

// Vary returns the request's fields that an answer was chosen by, in canonical form and order, and whether it was
// chosen by more than those: "*" (RFC 9110 section 12.5.5).
func Vary(header http.Header) (fields []string, more bool) {
	for _, line := range header["Vary"] {
		for _, name := range list(line, false) {
			if name == "*" {
				more = true
				continue
			}
			fields = append(fields, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields), more
}

// Selecting returns the fields of a request's header that an answer with that Vary was chosen by. With them alone the
// origin can be asked for the same variant again.
func Selecting(vary []string, request http.Header) http.Header {
	selecting := make(http.Header, len(vary))
	for _, name := range vary {
		if lines := forwarded(name, request); len(lines) > 0 {
			selecting[name] = slices.Clone(lines)
		}
	}
	return selecting
}

// forwarded returns a field as the origin sees it. A client that nominates it in Connection has it removed on the way;
// if it counted here, the answer to a request without it would be kept for those with it.
func forwarded(name string, request http.Header) []string {
	for _, line := range request["Connection"] {
		for _, nominated := range list(line, false) {
			if http.CanonicalHeaderKey(nominated) == name {
				return nil
			}
		}
	}
	if slices.Contains(hopByHop, name) {
		return nil
	}
	return request[name]
}

// VariantKey tells the variants of one URI apart: requests for which it is equal get the same answer from an origin
// that says Vary. It is of letters and digits, does not disclose the fields' values, and is the same in each release.
func VariantKey(vary []string, request http.Header) string {
	h := sha256.New()
	for _, name := range vary {
		value, given := normal(name, forwarded(name, request))
		mark := ":" // neither a name nor a value can hold a line's end
		if !given {
			mark = "\n" // a field that is missing is not an empty one
		}
		h.Write([]byte(name + mark + value + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Matches reports whether the answer may be used for a request with that header (RFC 9111 section 4.1).
func (v Variant) Matches(request http.Header) bool {
	vary, more := Vary(v.Response.Header)
	return !more && (len(vary) == 0 || VariantKey(vary, v.Selecting) == VariantKey(vary, request))
}

// Choose returns the index of the variant to use for a request with that header, -1 if none matches: of several the
// most recent (RFC 9111 section 4.1).
func Choose(variants []Variant, request http.Header) int {
	best := -1
	for i, v := range variants {
		if v.Matches(request) && (best < 0 || newer(v.Response, variants[best].Response)) {
			best = i
		}
	}
	return best
}

func newer(a, b Response) bool {
	if c := a.date().Compare(b.date()); c != 0 {
		return c > 0
	}
	return a.Answered.After(b.Answered)
}

// normal returns a field's value in a form that is equal for values that mean the same: lines joined, and no white
// space around commas (RFC 9111 section 4.1). In fields that are a set of preferences the order of the members means
// nothing either (RFC 9110 sections 12.5.1 to 12.5.4), nor does the case of codings and language tags.
func normal(name string, lines []string) (value string, given bool) {
	if len(lines) == 0 {
		return "", false
	}
	var members []string
	for _, line := range lines {
		members = append(members, list(line, true)...)
	}
	switch name {
	case "Accept-Encoding", "Accept-Language", "Accept-Charset":
		for i, member := range members {
			members[i] = strings.ToLower(strings.NewReplacer(" ", "", "\t", "").Replace(member))
		}
		slices.Sort(members)
	case "Accept":
		slices.Sort(members)
	}
	return strings.Join(members, ","), true
}
