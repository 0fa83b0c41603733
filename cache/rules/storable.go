// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// understood are the statuses whose caching this cache knows, which is what must-understand asks for (RFC 9111 section
// 5.2.2.3): the final ones of RFC 9110 section 15 that say nothing about a range or about what is kept already, and
// 206.
var understood = []int{
	http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNonAuthoritativeInfo, http.StatusNoContent,
	http.StatusPartialContent,
	http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
	http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
	http.StatusRequestURITooLong,
	http.StatusInternalServerError, http.StatusNotImplemented, http.StatusBadGateway, http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// heuristic are the statuses that are cacheable without a word about it (RFC 9110 section 15.1).
var heuristic = []int{
	http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent, http.StatusPartialContent,
	http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusPermanentRedirect, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusGone, http.StatusRequestURITooLong, http.StatusNotImplemented,
}

// Storable reports whether a shared cache may keep the response (RFC 9111 section 3), and if not, why. It wants both
// headers as they came, before [Forward] and [Response.Stored].
//
// A response that may be kept need not ever be fresh: one without a lifetime and a validator is of use only while the
// origin is gone. A 206 may be kept by who knows how to combine parts; others must not ask for them. What is kept of a
// POST answers a GET. A Set-Cookie does not prevent it (section 7.3).
func Storable(request Request, response Response) (bool, Reason) {
	header := response.Header
	d, targeted := said(header)
	explicit := d.has("max-age") || d.has("s-maxage") || !targeted && len(header["Expires"]) > 0
	_, private := d.fields("private")
	_, varyAny := Vary(header)
	switch {
	case request.Method != http.MethodGet && !(request.Method == http.MethodPost && explicit && describesTarget(request, response)):
		return false, BadMethod
	case response.Status < 200 || response.Status == http.StatusNotModified || response.Status == http.StatusRequestedRangeNotSatisfiable:
		return false, BadStatus
	case response.Status == http.StatusPartialContent && !onePart(header):
		return false, BadRange
	case d.has("must-understand") && !slices.Contains(understood, response.Status):
		return false, MustUnderstand
	case d.has("no-store") && !d.has("must-understand"): // who understands ignores it (section 5.2.2.3)
		return false, NoStore
	case parseDirectives(request.Header["Cache-Control"]).has("no-store"):
		return false, RequestNoStore
	case private:
		return false, Private
	case len(request.Header["Authorization"]) > 0 && !d.has("public") && !d.has("must-revalidate") && !d.has("s-maxage"):
		return false, Authorized // section 3.5
	case varyAny:
		return false, VaryAny // allowed, but it would never match (section 4.1)
	case !explicit && !d.has("public") && !slices.Contains(heuristic, response.Status):
		return false, BadStatus
	}
	return true, ""
}

// describesTarget reports whether a POST's answer is what a GET of the same URI would get (RFC 9110 section 9.3.3).
func describesTarget(request Request, response Response) bool {
	location := response.Header.Get("Content-Location")
	if response.Status != http.StatusOK || location == "" || request.URL == nil {
		return false
	}
	u, err := request.URL.Parse(location)
	return err == nil && u.String() == request.URL.String()
}

// onePart reports whether a 206 holds one range and says which:
//
//	Content-Range = "bytes" SP first-pos "-" last-pos "/" ( complete-length / "*" )    RFC 9110 section 14.4
func onePart(header http.Header) bool {
	lines := header["Content-Range"]
	if len(lines) != 1 {
		return false
	}
	span, ok := strings.CutPrefix(lines[0], "bytes ")
	span, size, slash := strings.Cut(span, "/")
	first, last, dash := strings.Cut(span, "-")
	f, err1 := strconv.ParseUint(first, 10, 63)
	l, err2 := strconv.ParseUint(last, 10, 63)
	if !ok || !slash || !dash || err1 != nil || err2 != nil || f > l {
		return false
	}
	n, err := strconv.ParseUint(size, 10, 63)
	return size == "*" || err == nil && l < n
}
