// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"net/http"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// question is what an origin is asked, once for all who have it at the same time.
type question struct {
	key string // equal for equal questions
	// put asks. What is called at the end of the answer's body is for answers of which the result owns one.
	put func(ctx context.Context, end func()) result
}

// question returns what to ask about a target of which there is something, and something for this request.
func (c *Cache) question(t *Target, request rules.Request, some, stored bool) question {
	up, heads := t.Upstream.(headUpstream)
	switch {
	case t.Private:
	case stored && heads && request.Method == http.MethodHead:
		return question{"HEAD " + t.Key, func(ctx context.Context, _ func()) result { return c.head(ctx, up, t, request) }}
	case !some && conditional(request.Header):
		key := t.Key + separator + strings.Join(request.Header["If-None-Match"], ",") + separator + request.Header.Get("If-Modified-Since")
		return question{key, func(ctx context.Context, end func()) result { return c.theirs(ctx, end, t, request) }}
	}
	return c.plain(t, request)
}

// plain asks for the target, or whether what is kept of it is right.
func (c *Cache) plain(t *Target, request rules.Request) question {
	return question{t.Key, func(ctx context.Context, end func()) result { return c.fetch(ctx, end, t, request) }}
}

func conditional(header http.Header) bool {
	return len(header["If-None-Match"])+len(header["If-Modified-Since"]) > 0
}

// head passes a HEAD on, whose answer may say that what is kept is right or that it is not (RFC 9111 section 4.3.5). For
// what is not kept a GET is asked instead: who asks for the length of an image wants its bytes next. That also is the
// question about images, since a signed URL is often good for one method only.
func (c *Cache) head(ctx context.Context, up headUpstream, t *Target, request rules.Request) result {
	unconditional, _ := rules.Revalidation(request.Header, nil, -1)
	part, err := up.Head(ctx, unconditional)
	if err != nil {
		return result{err: err}
	}
	_ = part.Body.Close()
	news := headerOf(part)
	if news.Status != http.StatusOK {
		return result{bare: &news}
	}
	all, variants := c.variants(t.Key)
	chosen := rules.Choose(variants, request.Header)
	r := result{again: true, by: news.Status}
	for i, k := range all {
		if !k.Matches(request.Header) {
			continue
		}
		updated, good := k.Response.UpdatedByHead(news)
		if !good {
			c.forget(t.Key, k.key)
			c.store.RemoveKey(k.key)
			continue
		}
		k.Response = updated
		c.write(t.Key, k.key, k)
		if i == chosen && updated.Status == http.StatusOK {
			r.key, r.again = k.key, false
		}
	}
	if chosen >= 0 && all[chosen].Response.Status != http.StatusOK {
		r = result{bare: &news}
	}
	return r
}

// theirs passes a client's own conditions on, where there is nothing to judge them by: a client that has the object must
// not have it brought over the line (RFC 9111 section 4.3.2).
func (c *Cache) theirs(ctx context.Context, end func(), t *Target, request rules.Request) result {
	header := rules.Forward(request.Header)
	header.Del("Range")
	header.Del("If-Range")
	part, err := t.Upstream.Fetch(ctx, header, c.firstAsk(request, true, false))
	if err != nil {
		return result{err: err}
	}
	if part.Status != http.StatusNotModified {
		return c.keep(end, t, request, part)
	}
	_ = part.Body.Close()
	news := headerOf(part)
	return result{bare: &news}
}

// headerOf is an answer without its body.
func headerOf(part *cache.Part) rules.Response {
	return rules.Response{Status: part.Status, Header: part.Header, Asked: part.Asked, Answered: part.Answered}
}
