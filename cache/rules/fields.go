// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"strconv"
	"time"
)

// hopByHop are the fields of one connection, and those that are for or from a proxy (RFC 9110 section 7.6.1, RFC 9111
// section 3.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
}

// Forward returns the fields of a request or response that go on beyond this hop: not those of the connection, nor
// those that Connection nominates (RFC 9110 section 7.6.1).
func Forward(header http.Header) http.Header {
	kept := header.Clone()
	if kept == nil {
		kept = http.Header{}
	}
	for _, line := range header["Connection"] {
		for _, name := range list(line, false) {
			kept.Del(name)
		}
	}
	for _, name := range hopByHop {
		kept.Del(name)
	}
	return kept
}

// Stored returns what a cache keeps of a response: its fields but those of the connection and those that no-cache and
// private name (RFC 9111 sections 3.1, 5.2.2.4 and 5.2.2.7), and a Date if it came without (RFC 9110 section 6.6.1).
func (r Response) Stored() Response {
	r.Header = Forward(r.Header)
	d, _ := said(r.Header)
	for _, name := range []string{"no-cache", "private"} {
		fields, _ := d.fields(name)
		for _, field := range fields {
			r.Header.Del(field)
		}
	}
	if r.Header.Get("Date") == "" {
		r.Header.Set("Date", r.Answered.UTC().Format(http.TimeFormat))
	}
	return r
}

// Served returns the header with which a kept answer is sent, one that [Response.Stored] made: its own, and its age (RFC
// 9111 section 4).
func (r Response) Served(now time.Time) http.Header {
	header := make(http.Header, len(r.Header)+1)
	r.Serve(header, now)
	return header
}

// Serve is Served into a header that is there. The values are its own.
func (r Response) Serve(header http.Header, now time.Time) {
	n := 1
	for _, lines := range r.Header {
		n += len(lines)
	}
	values := make([]string, 0, n)
	for name, lines := range r.Header {
		begin := len(values)
		values = append(values, lines...)
		header[name] = values[begin:len(values):len(values)]
	}
	values = append(values, strconv.FormatInt(int64(r.Age(now)/time.Second), 10))
	header["Age"] = values[n-1:]
}

// NotModified returns the header with which a kept answer is sent as a 304: without what describes a body, which the
// client has, and with all that may have changed about it (RFC 9110 section 15.4.5).
func (r Response) NotModified(now time.Time) http.Header {
	header := r.Served(now)
	for _, name := range []string{"Content-Encoding", "Content-Language", "Content-Length", "Content-Range", "Content-Type"} {
		header.Del(name)
	}
	if header.Get("Etag") != "" {
		header.Del("Last-Modified")
	}
	return header
}
