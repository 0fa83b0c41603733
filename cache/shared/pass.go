// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// pass gives out an answer that is not kept. Of one that came in part the rest is fetched as the client reads. All of it is
// compared with the digest, if one is known, before its end is given out; a range cannot be.
func (c *Cache) pass(w http.ResponseWriter, r *http.Request, t *Target, request rules.Request, part *cache.Part, reason rules.Reason) error {
	response := whole(part)
	header := w.Header()
	maps.Copy(header, rules.Forward(response.Header))
	header.Del("Content-Length")
	status{reason: reason}.set(header)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil
	}
	body := newThrough(r.Context(), t.Upstream, part)
	defer body.Close()
	if rules.Evaluate(request, response) == rules.NotModified {
		maps.Copy(header, response.NotModified(time.Now()))
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	ranges := response.Status == http.StatusOK && part.Size >= 0 && part.Ranges && rules.Evaluate(request, response) == rules.Ranges
	digest := t.digest(part)
	switch {
	case response.Status == http.StatusOK && digest != nil && !ranges:
		return writeAll(w, r, response.Status, part.Size, cache.NewChecked(body, *digest, nil))
	case response.Status != http.StatusOK || part.Size < 0:
		return writeAll(w, r, response.Status, part.Size, body)
	}
	if err := serveContent(w, r, ranges, part.Size, body); err != nil || body.err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// direct answers without the store.
func (c *Cache) direct(w http.ResponseWriter, r *http.Request, t *Target, request rules.Request) error {
	header, _ := rules.Revalidation(request.Header, nil, -1)
	if t.Private {
		removeClient(header)
	}
	part, err := t.Upstream.Fetch(r.Context(), header, cache.Ask{})
	if err != nil {
		return c.failure(err)
	}
	if err := t.refused(part); err != nil {
		_ = part.Body.Close()
		return c.failure(err)
	}
	return c.pass(w, r, t, request, part, rules.Missing)
}

// forward puts a question whose conditions only the origin may judge, and passes on what comes.
func (c *Cache) forward(w http.ResponseWriter, r *http.Request, t *Target, request rules.Request) error {
	i := newInterim(w, r, t)
	defer i.end()
	fetch := func(ctx context.Context, header http.Header) (*cache.Part, error) {
		return t.Upstream.Fetch(ctx, header, cache.Ask{})
	}
	if up, ok := t.Upstream.(headUpstream); ok && r.Method == http.MethodHead {
		fetch = up.Head
	}
	part, err := fetch(i.context(r.Context()), rules.Forward(request.Header))
	i.end()
	if err != nil {
		return c.failure(err)
	}
	defer part.Body.Close()
	header := w.Header()
	maps.Copy(header, rules.Forward(part.Header))
	status{reason: rules.RequestNoCache}.set(header)
	w.WriteHeader(part.Status)
	if r.Method == http.MethodHead || !bodyAllowed(part.Status) {
		return nil
	}
	body := io.Reader(part.Body)
	if digest := t.digest(part); digest != nil && part.Status == http.StatusOK {
		body = cache.NewChecked(body, *digest, nil)
	}
	if _, err := io.Copy(w, body); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// bare gives out an answer that has no body.
func (c *Cache) bare(w http.ResponseWriter, response *rules.Response, reason rules.Reason) error {
	header := w.Header()
	maps.Copy(header, rules.Forward(response.Header))
	status{reason: reason, by: response.Status}.set(header)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil
	}
	w.WriteHeader(response.Status)
	return nil
}
