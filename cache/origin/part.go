// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
)

// read makes a part of an answer, or an error, after which the answer is closed. conditional says that the
// question had an If-Range.
func (s *Source) read(a *answer, ask cache.Ask, conditional bool) (*cache.Part, error) {
	if a.StatusCode >= 400 {
		return nil, refusal(a)
	}
	p := &cache.Part{
		Body: a.body, Validator: validatorOf(a.Header), Status: a.StatusCode, Header: a.Header, Asked: a.asked, Answered: a.came,
	}
	if bad := s.check(a, ask, p); bad != nil {
		a.body.Close()
		return nil, bad
	}
	if digests := Digests(p); len(digests) > 0 {
		p.Digest = &digests[0]
	}
	anyOf := ask.Same == cache.Validator{}
	if anyOf || sameRepresentation(ask.Same, p.Validator, conditional && a.StatusCode == http.StatusPartialContent) {
		return p, nil
	}
	if a.StatusCode == http.StatusPartialContent && p.Validator == (cache.Validator{}) {
		a.body.Close() // a piece of who knows what
		return nil, &cache.ChangedError{}
	}
	if a.StatusCode == http.StatusOK {
		p.Ranges = servesRanges(a.Header) // it is because of the change that all of it came
	}
	return nil, &cache.ChangedError{Part: p}
}

// check fills in what an answer says of its bytes, and reports why they cannot be believed to be those asked for.
func (s *Source) check(a *answer, ask cache.Ask, p *cache.Part) error {
	for _, coding := range a.Header.Values("Content-Encoding") {
		if coding = strings.TrimSpace(coding); !s.client.cfg.Encoded && coding != "" && !strings.EqualFold(coding, "identity") {
			return unusable("encoded content")
		}
	}
	switch a.StatusCode {
	case http.StatusOK:
		return s.checkWhole(a, ask, p)
	case http.StatusPartialContent:
		return checkPiece(a, ask, p)
	}
	return unusable("status %d", a.StatusCode)
}

func (s *Source) checkWhole(a *answer, ask cache.Ask, p *cache.Part) error {
	if s.client.cfg.RefuseHTML && !s.page && isPage(a.Header) {
		return unusable("a web page")
	}
	// A body that ends with its connection is whole by definition (RFC 9112 section 6.3), and so is the half of it that a
	// broken line lets through. TLS would tell one from the other (section 9.8), but crypto/tls does not.
	if a.ContentLength < 0 && len(a.TransferEncoding) == 0 {
		return unusable("a body whose end is that of its connection")
	}
	p.Length, p.Size = a.ContentLength, a.ContentLength
	p.Ranges = !ranged(ask) && servesRanges(a.Header)
	return nil
}

func checkPiece(a *answer, ask cache.Ask, p *cache.Part) error {
	if !ranged(ask) {
		return unusable("a part of what was asked for")
	}
	fields := a.Header.Values("Content-Range")
	if len(fields) != 1 { // multipart/byteranges has none
		return unusable("a part that does not say of what")
	}
	given, ok := parseContentRange(fields[0])
	if !ok || given.first < 0 || mediaType(a.Header) == "multipart/byteranges" {
		return unusable("a part that does not say of what")
	}
	last, bounded := lastOf(ask)
	atEnd := given.last == given.size-1
	if given.first != ask.First || bounded && given.last > last || !atEnd && (!bounded || given.last < last) {
		return unusable("another part than the one asked for")
	}
	p.First, p.Length, p.Size, p.Ranges = given.first, given.last-given.first+1, given.size, true
	if a.ContentLength >= 0 && a.ContentLength != p.Length {
		return unusable("a part of another length than it says")
	}
	a.body.left = p.Length
	if p.First == 0 && atEnd {
		p.Status = http.StatusOK
		p.Header.Del("Content-Range")
		p.Header.Set("Content-Length", strconv.FormatInt(p.Length, 10))
	}
	return nil
}

func servesRanges(h http.Header) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(h.Values("Accept-Ranges"), ","), ","), func(unit string) bool {
		return strings.EqualFold(strings.TrimSpace(unit), "bytes")
	})
}

func isPage(h http.Header) bool {
	t := mediaType(h)
	return t == "text/html" || t == "application/xhtml+xml"
}

// mediaType is the Content-Type without its parameters.
func mediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}
