// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// firstBlocks is how many blocks are asked for first: enough to learn what there is, and not so many that the fill is
// bound to one transfer.
const firstBlocks = 4

// firstBytes are asked for first while another question is open. Both may be names of one content, of which there is one
// for each node, and what has been sent before this is known was sent for nothing; what is another content waits for a
// round trip more.
const firstBytes = 4 << 10

// result is what a question to an origin came to.
type result struct {
	key   string          // of the store: the answer is kept there
	by    int             // the status of the answer that confirmed what was kept; 0: none did
	bare  *rules.Response // an answer without a body, for all who asked
	again bool            // what was kept is not right any more; there is another question to be asked

	// For the one who asked, nil for all others:
	part *cache.Part     // the answer, to be passed through
	came *rules.Response // the answer as it came, of which less is kept

	err   error
	owned bool // a body ends the question's context
}

func (r *result) status() int {
	switch {
	case r.part != nil:
		return r.part.Status
	case r.bare != nil:
		return r.bare.Status
	}
	return 0
}

func (r *result) discard() {
	if r.part != nil {
		_ = r.part.Body.Close()
	}
}

// fetch is a question under way.
type fetch struct {
	done   chan struct{}
	result result // set when done is closed, but for what is for the one who asked

	mu   sync.Mutex
	part *cache.Part
	came *rules.Response
	left bool // who asked has gone
}

// ask puts the question to the origin, or waits for the answer to the same question of another client, unless this one
// is to ask alone. It reports whether the question was another's.
func (c *Cache) ask(w http.ResponseWriter, r *http.Request, t *Target, q question, alone bool) (result, bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return result{err: disk.ErrClosed}, false
	}
	f, shared := c.pending[q.key]
	if !shared || alone {
		shared = false
		f = &fetch{done: make(chan struct{})}
		if !alone {
			c.pending[q.key] = f
		}
		i := newInterim(w, r, t)
		defer i.end()
		c.tasks.Go(func() { c.run(f, i.context(r.Context()), q) })
	}
	c.mu.Unlock()
	patience := time.NewTimer(answerPatience)
	if r.Method == http.MethodHead {
		patience.Reset(headerPatience)
	}
	defer patience.Stop()
	select {
	case <-patience.C: // the question goes on, and its answer is there for who comes back
		if !shared {
			f.leave()
		}
		return result{err: errNoAnswerYet}, shared
	case <-f.done:
		result := f.result
		if !shared {
			result.part, result.came = f.part, f.came
		}
		return result, shared
	case <-r.Context().Done():
		if !shared {
			f.leave()
		}
		return result{err: r.Context().Err()}, shared
	}
}

// answerPatience is how long a client waits for an origin's header. Newer iPXE gives up after 120 s without a byte, but
// comes back after Retry-After by itself.
const answerPatience = 20 * time.Second

var errNoAnswerYet = errors.New("the origin has not answered yet")

// leave closes what nobody will take.
func (f *fetch) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
	if f.part != nil {
		_ = f.part.Body.Close()
	}
}

// run puts the question. Its context is not the client's: others wait for the answer, too.
func (c *Cache) run(f *fetch, client context.Context, q question) {
	ctx, stop := context.WithCancel(context.WithoutCancel(client))
	ended := context.AfterFunc(c.ctx, stop)
	end := func() { ended(); stop() }
	f.result = q.put(ctx, end)
	if !f.result.owned {
		end()
	}
	f.mu.Lock()
	f.part, f.came = f.result.part, f.result.came
	f.result.part, f.result.came = nil, nil
	if f.left && f.part != nil {
		_ = f.part.Body.Close()
	}
	f.mu.Unlock()
	c.mu.Lock()
	if c.pending[q.key] == f {
		delete(c.pending, q.key)
	}
	c.mu.Unlock()
	close(f.done)
}

// renew asks the origin behind the client's back.
func (c *Cache) renew(t *Target, request rules.Request) {
	q := c.plain(t, request)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, running := c.pending[q.key]; running || c.closed {
		return
	}
	f := &fetch{done: make(chan struct{}), left: true}
	c.pending[q.key] = f
	c.tasks.Go(func() { c.run(f, context.Background(), q) })
}

// fetch asks the origin about a target: whether what is kept is still right, if anything is, or for it.
func (c *Cache) fetch(ctx context.Context, end func(), t *Target, request rules.Request) result {
	all, variants := c.variants(t.Key)
	chosen := rules.Choose(variants, request.Header)
	header, conditional := rules.Revalidation(request.Header, variants, chosen)
	if t.Private {
		removeClient(header)
	}
	others := c.asking.Add(1) > 1
	defer c.asking.Add(-1)
	ask := c.firstAsk(request, conditional, others)
	part, err := t.Upstream.Fetch(ctx, header, ask)
	if err != nil {
		return result{err: err}
	}
	if part.Status != http.StatusNotModified {
		return c.keep(end, t, request, part)
	}
	_ = part.Body.Close()
	news := headerOf(part)
	confirmed := rules.Confirmed(variants, news)
	if !conditional || len(confirmed) == 0 {
		return c.unconditional(ctx, end, t, request, ask)
	}
	for _, i := range confirmed[1:] {
		k := all[i]
		k.Response = k.Response.Updated(news)
		c.write(t.Key, k.key, k)
	}
	return result{key: c.chosen(t, request, all[confirmed[0]], news), by: news.Status}
}

// chosen writes down that a 304 chose an answer for a request, and returns its key. The origin may choose one that was
// kept for another request, and is then known to be for both (RFC 9111 section 4.3.3); or vary by other fields than before,
// of which nothing is known but this request's.
func (c *Cache) chosen(t *Target, request rules.Request, k kept, news rules.Response) string {
	old, before := k.key, strings.Join(k.Response.Header["Vary"], ",")
	k.Response = k.Response.Updated(news)
	sameVary := before == strings.Join(k.Response.Header["Vary"], ",")
	if sameVary {
		c.write(t.Key, old, k)
	}
	k = newKept(t, request, k.Response)
	if k.key == old && sameVary {
		return old
	}
	c.write(t.Key, old, k)
	if !sameVary && k.key != old {
		c.forget(t.Key, old)
		c.store.RemoveKey(old)
	}
	return k.key
}

// firstAsk is what is wanted first of what a client asks for.
func (c *Cache) firstAsk(request rules.Request, conditional, busy bool) cache.Ask {
	ask := cache.Ask{Length: firstBlocks * c.store.Block()}
	if busy {
		ask.Length = min(ask.Length, firstBytes)
	}
	if !conditional {
		ask.First = c.wantedFirst(request.Header)
	}
	return ask
}

// unconditional asks again, for an answer to a question that cannot be misunderstood.
func (c *Cache) unconditional(ctx context.Context, end func(), t *Target, request rules.Request, ask cache.Ask) result {
	header, _ := rules.Revalidation(request.Header, nil, -1)
	if t.Private {
		removeClient(header)
	}
	part, err := t.Upstream.Fetch(ctx, header, ask)
	if err == nil && part.Status == http.StatusNotModified {
		_ = part.Body.Close()
		err = &cache.OriginError{Status: http.StatusBadGateway, Reason: "304 to a request without conditions"}
	}
	if err != nil {
		return result{err: err}
	}
	return c.keep(end, t, request, part)
}

// removeClient leaves of a request's header what is ours.
func removeClient(header http.Header) {
	for name := range header {
		if name != "If-None-Match" && name != "If-Modified-Since" {
			delete(header, name)
		}
	}
}

// wantedFirst is the beginning of the block that a client waits for: the first byte of its range.
func (c *Cache) wantedFirst(header http.Header) int64 {
	span, ok := strings.CutPrefix(header.Get("Range"), "bytes=")
	if !ok || header.Get("If-Range") != "" {
		return 0
	}
	first, _, _ := strings.Cut(span, "-")
	n, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n - n%c.store.Block()
}

// write puts what is said of a kept answer into the store, whose object is that of another key or its own.
func (c *Cache) write(target, from string, k kept) {
	o, _ := c.store.Get(from)
	if o == nil {
		c.forget(target, from)
		return
	}
	defer o.Release()
	info, err := json.Marshal(k.Variant)
	if err != nil {
		return // strings and times
	}
	c.store.SetKey(k.key, info, o)
	c.remember(target, k)
}

// failure is the error to be shown for an origin that did not give an answer.
func (c *Cache) failure(err error) error {
	var answer *cache.OriginError
	switch {
	case errors.As(err, &answer):
		return &Failure{Status: answer.Status, Reason: answer.Reason, RetryAfter: answer.RetryAfter, Err: err}
	case errors.Is(err, disk.ErrClosed):
		return &Failure{Status: http.StatusServiceUnavailable, Reason: "closing", Err: err}
	}
	return &Failure{Status: http.StatusServiceUnavailable, Reason: "no answer", Err: err}
}
