// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"strings"
)

// Revalidation returns the header of the request by which an origin confirms a kept answer (RFC 9111 section 4.3.1). It
// is that of the client's request, or a variant's [Variant.Selecting] where no client waits, without the client's own
// conditions and its Range, which [Evaluate] applies to the outcome, and with the entity tags of all variants, of which
// the origin may choose another one. The date is that of the variant with index chosen; -1: there is no such variant.
//
// Conditional is false if no variant can be confirmed: then the request is for a new answer.
func Revalidation(request http.Header, variants []Variant, chosen int) (header http.Header, conditional bool) {
	header = Forward(request)
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		header.Del(name)
	}
	var tags []string
	for _, v := range variants {
		if tag := v.Response.Header.Get("Etag"); tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if len(tags) > 0 {
		header.Set("If-None-Match", strings.Join(tags, ", "))
	}
	if chosen >= 0 {
		if modified := variants[chosen].Response.Header.Get("Last-Modified"); modified != "" {
			header.Set("If-Modified-Since", modified)
		}
	}
	return header, len(header["If-None-Match"])+len(header["If-Modified-Since"]) > 0
}

// Confirmed returns the indices of the variants that a 304 confirms (RFC 9111 section 4.3.4), most recent first. The
// first is the answer to the request; all are to be [Response.Updated]. None: the 304 is of something that is not kept,
// and the origin has to be asked without conditions.
//
// Asked are the variants that the [Revalidation] was about. A 304 that names nothing confirms one only if it was the
// only one; the RFC would accept it for an answer without validator only, yet many an origin leaves the entity tag out
// of its 304.
func Confirmed(asked []Variant, notModified Response) []int {
	tag, modified := notModified.Header.Get("Etag"), notModified.Header.Get("Last-Modified")
	var confirmed []int
	for i, v := range asked {
		switch {
		case tag != "" && sameTag(tag, v.Response.Header.Get("Etag")),
			tag == "" && modified != "" && modified == v.Response.Header.Get("Last-Modified"),
			tag == "" && modified == "" && len(asked) == 1:
			confirmed = append(confirmed, i)
		}
	}
	slices.SortStableFunc(confirmed, func(a, b int) int {
		if newer(asked[a].Response, asked[b].Response) {
			return -1
		}
		return 1
	})
	if len(confirmed) > 1 && !strong(tag) {
		confirmed = confirmed[:1] // a weak validator is of the most recent one only
	}
	return confirmed
}

// bound are the fields that describe the bytes as they are kept. They stay what they were when the bytes came. RFC 9111
// section 3.2 wants that of Content-Length and allows it for Content-Range. It allows more where the kept bytes' integrity
// depends on it, and that of an object in parts does: were Content-Encoding to change between two parts, they would be of
// two codings under one name.
var bound = []string{"Content-Length", "Content-Encoding", "Content-Range"}

// Updated returns the kept answer as a 304 confirmed it: with the fields and times of the 304 where it has any (RFC
// 9111 section 3.2). If its Vary is another one now, the variant's Selecting has to be taken from the request that was
// answered with the 304.
func (r Response) Updated(notModified Response) Response {
	news := notModified.Stored().Header
	for _, name := range bound {
		delete(news, name)
	}
	// A strong tag tells parts of an object apart. A 304 that is sent through a filter may call it weak, but confirms it.
	if tag := r.Header.Get("Etag"); strong(tag) && !strong(news.Get("Etag")) && sameTag(tag, news.Get("Etag")) {
		delete(news, "Etag")
	}
	updated := Response{Status: r.Status, Header: r.Header.Clone(), Asked: notModified.Asked, Answered: notModified.Answered}
	// Age and Date are of a message. Those of another message say nothing about when this one was made.
	updated.Header.Del("Age")
	for name, lines := range news {
		updated.Header[name] = lines
	}
	return updated.Stored() // the news may forbid fields that are kept
}

// UpdatedByHead returns the kept answer to a GET as the answer to a HEAD of the same URI leaves it, and whether it is
// still good: if the HEAD tells of another representation, it is not (RFC 9111 section 4.3.5). Only a 200 tells.
func (r Response) UpdatedByHead(head Response) (Response, bool) {
	if head.Status != http.StatusOK || r.Status != http.StatusOK {
		return r, true
	}
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		is, was := head.Header.Get(name), r.Header.Get(name)
		// A body of unknown length was kept without Content-Length, so that only two lengths can differ.
		if is != "" && is != was && (name != "Content-Length" || was != "") {
			return r, false
		}
	}
	return r.Updated(head), true
}
