// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"net/url"
	"slices"
)

// Safe reports whether a method asks and changes nothing (RFC 9110 section 9.2.1). One that is not known may do
// anything.
func Safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// Invalidated returns the URIs whose kept answers a request made worthless (RFC 9111 section 4.4): none if its method
// is safe or its answer an error, else its target and what Location and Content-Location name of the same origin.
// What they name of another origin is not the answering one's to invalidate.
func Invalidated(request Request, response Response) []*url.URL {
	if Safe(request.Method) || response.Status < 200 || response.Status >= 400 {
		return nil
	}
	uris := []*url.URL{request.URL}
	for _, name := range []string{"Location", "Content-Location"} {
		value := response.Header.Get(name)
		if value == "" {
			continue
		}
		u, err := request.URL.Parse(value)
		if err != nil || u.Scheme != request.URL.Scheme || u.Host != request.URL.Host {
			continue
		}
		u.Fragment, u.RawFragment = "", ""
		if !slices.ContainsFunc(uris, func(other *url.URL) bool { return other.String() == u.String() }) {
			uris = append(uris, u)
		}
	}
	return uris
}
