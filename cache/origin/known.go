// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"net/http"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Upstream is an origin that questions are passed on to, too: a Source or a Blob.
type Upstream interface {
	cache.Origin
	Fetch(ctx context.Context, header http.Header, ask cache.Ask) (*cache.Part, error)
}

// Content is which bytes are meant.
type Content struct {
	Digest cache.Digest
	Size   int64 // -1: not known beforehand
}

// Known is an origin of bytes that are known beforehand, and so can never become others: an image of Glance's, a blob. The
// digest is their entity tag, in place of the origin's: Glance has none, and two servers of a CDN may have different ones.
// So parts of them go together whenever and from wherever they came. Who puts them together must check the digest.
type Known struct {
	From    Upstream
	Content Content
}

var _ Upstream = Known{}

// Open asks for bytes, as Source.Open does. A validator that is not the digest is left to the origin.
func (k Known) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	if ask.Same != (cache.Validator{}) && ask.Same != k.validator() {
		return k.From.Open(ctx, ask)
	}
	ask.Same = cache.Validator{}
	p, err := k.From.Open(ctx, ask)
	return k.read(p, err)
}

// Fetch passes on a question, as Source.Fetch does, without its conditions. Whether the bytes are still those with the
// digest need not be asked; but that they may be had is, by one byte of them, before the answer is 304.
func (k Known) Fetch(ctx context.Context, header http.Header, ask cache.Ask) (*cache.Part, error) {
	plain := header.Clone()
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		plain.Del(name)
	}
	held := strings.Contains(strings.Join(header.Values("If-None-Match"), ","), k.validator().ETag)
	if held {
		ask = cache.Ask{Length: 1}
	}
	p, err := k.From.Fetch(ctx, plain, ask)
	p, err = k.read(p, err)
	if err != nil || !held || p.Status != http.StatusOK && p.Status != http.StatusPartialContent {
		return p, err
	}
	p.Body.Close()
	p.Header.Del("Content-Length")
	p.Header.Del("Content-Range")
	return &cache.Part{Body: http.NoBody, Validator: p.Validator, Digest: p.Digest, Status: http.StatusNotModified, Header: p.Header,
		Asked: p.Asked, Answered: p.Answered}, nil
}

func (k Known) validator() cache.Validator {
	return cache.Validator{ETag: `"` + k.Content.Digest.String() + `"`}
}

// read puts what is known into an answer with bytes, and compares.
func (k Known) read(p *cache.Part, err error) (*cache.Part, error) {
	if err != nil || p.Status != http.StatusOK && p.Status != http.StatusPartialContent {
		return p, err // an error's page, or none
	}
	if k.Content.Size >= 0 && p.Size >= 0 && p.Size != k.Content.Size {
		p.Body.Close()
		return nil, unusable("another length than is known of it")
	}
	p.Validator, p.Digest = k.validator(), &k.Content.Digest
	p.Header.Set("Etag", p.Validator.ETag)
	return p, nil
}
