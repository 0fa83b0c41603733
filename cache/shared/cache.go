// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// Upstream is the origin of one target.
type Upstream interface {
	cache.Origin
	// Fetch puts a client's GET: the fields of the client that go on, conditions of ours, and the bytes that are wanted
	// first. An answer of any status is a part; an error is a line that broke, or an answer that lies.
	Fetch(ctx context.Context, header http.Header, ask cache.Ask) (*cache.Part, error)
}

// headUpstream is an Upstream that can be asked for the header alone: it puts a client's HEAD. The part's body is empty.
type headUpstream interface {
	Head(ctx context.Context, header http.Header) (*cache.Part, error)
}

// Target is what a request is for.
type Target struct {
	// Key names the target in the store. It holds no secret, nor anything else that differs for one content.
	Key string
	// URL is the target as the origin knows it.
	URL *url.URL
	// Upstream is asked for it.
	Upstream Upstream
	// Digest of the content, if it is known beforehand.
	Digest *cache.Digest
	// Kin names targets of one origin of which equal strong entity tags and lengths mean equal bytes, as a conductor's links
	// to one file for each node are. Empty: a tag is of one resource (RFC 9110 section 8.8.1), and two files of one length
	// and one time have the same at many a web server.
	Kin string
	// Policy is the operator's.
	Policy rules.Policy
	// Private is a target whose clients have no say in how it is got: their headers do not go to the origin, nor do
	// their wishes about caching count. Images are that.
	Private bool
}

// Cache is a shared cache. It may be used by many goroutines at once.
type Cache struct {
	store  *disk.Store
	leases leases

	ctx   context.Context // of questions to origins, which outlive who asked
	stop  context.CancelFunc
	tasks sync.WaitGroup

	asking atomic.Int32 // questions about what is not kept, or may have changed

	mu      sync.Mutex
	kept    map[string][]kept // by Target.Key
	added   int               // to kept, since those were forgotten last that were evicted
	sweepAt int               // how many more it takes
	pending map[string]*fetch
	closed  bool
}

// kept is an answer in the store.
type kept struct {
	key string // of the store
	rules.Variant
}

// New returns a cache with what the store has. Close ends it; the store is the caller's.
func New(store *disk.Store) *Cache {
	c := &Cache{store: store, kept: make(map[string][]kept), sweepAt: leastSweep, pending: make(map[string]*fetch)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	for key, info := range store.KeyInfos() {
		var k = kept{key: key}
		if err := json.Unmarshal(info, &k.Variant); err != nil || k.Response.Status == 0 {
			store.RemoveKey(key)
			continue
		}
		name, _, _ := strings.Cut(key, separator)
		c.kept[name] = append(c.kept[name], k)
	}
	return c
}

// separator stands between a target's key and its variant's in the store.
const separator = "\x00"

// Close ends the questions to origins and waits for them.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true // nobody asks any more
	c.mu.Unlock()
	c.stop()
	c.tasks.Wait()
	c.leases.close()
}

// variants returns what is kept of a target.
func (c *Cache) variants(key string) ([]kept, []rules.Variant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.kept[key])
	variants := make([]rules.Variant, len(all))
	for i, k := range all {
		variants[i] = k.Variant
	}
	return all, variants
}

// maxVariants is how many answers are kept of one target. Which there are is for clients to say, by a field of theirs that
// the origin names in Vary: one of them could fill the store with what it makes up.
const maxVariants = 8

// remember puts an answer among those that are kept, in the place of the one with the same key. Of too many the one that was
// confirmed longest ago goes.
func (c *Cache) remember(target string, k kept) {
	c.mu.Lock()
	all := slices.DeleteFunc(slices.Clone(c.kept[target]), func(other kept) bool { return other.key == k.key })
	if all = append(all, k); len(all) > len(c.kept[target]) {
		c.added++
	}
	slices.SortStableFunc(all, func(a, b kept) int { return a.Response.Answered.Compare(b.Response.Answered) })
	dropped := all[:max(0, len(all)-maxVariants)]
	c.kept[target] = slices.Clone(all[len(dropped):])
	if c.added >= c.sweepAt {
		c.sweepLocked()
	}
	c.mu.Unlock()
	for _, old := range dropped {
		c.store.RemoveKey(old.key)
	}
}

// leastSweep is how many answers it takes at least.
const leastSweep = 1 << 10

// sweepLocked forgets what the store has evicted and nobody asks for again perhaps: there can be any number of targets
// and variants, but not in the store.
func (c *Cache) sweepLocked() {
	there := c.store.KeyInfos() // what comes later is remembered later
	left := 0
	for target, all := range c.kept {
		all = slices.DeleteFunc(slices.Clone(all), func(k kept) bool {
			_, ok := there[k.key]
			return !ok
		})
		if c.kept[target] = all; len(all) == 0 {
			delete(c.kept, target)
		}
		left += len(all)
	}
	c.added, c.sweepAt = 0, max(leastSweep, left)
}

// forget drops an answer.
func (c *Cache) forget(target, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(c.kept[target]), func(k kept) bool { return k.key == key })
	if len(all) == 0 {
		delete(c.kept, target)
		return
	}
	c.kept[target] = all
}

// Purge removes what is kept of a target, and reports whether there was anything.
func (c *Cache) Purge(target string) bool {
	c.mu.Lock()
	all := c.kept[target]
	delete(c.kept, target)
	c.mu.Unlock()
	for _, k := range all {
		c.store.RemoveKey(k.key)
	}
	return len(all) > 0
}

// mostTries bounds how often a request is looked at anew, because an answer was for others or went at once.
const mostTries = 8

// Serve answers a GET or HEAD. An error means that nothing was written yet: it is a *Failure, or the client's own end.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, t *Target) error {
	if o, k := c.leases.middle(r, t); o != nil {
		return c.answer(w, r, t, o, k, status{hit: true})
	}
	request := t.request(r)
	if rules.Evaluate(request, rules.Response{}) == rules.Origins { // whatever is kept
		return c.forward(w, r, t, request)
	}
	alone := false
	for tries := 0; ; tries++ {
		if tries == mostTries {
			return c.direct(w, r, t, request) // the store does not keep what comes, a full disk for example
		}
		all, variants := c.variants(t.Key)
		i := rules.Choose(variants, request.Header)
		var stored *rules.Response
		if i >= 0 {
			stored = &variants[i].Response
		}
		decision := t.Policy.Decide(request.Header, stored, time.Now())
		switch decision.Verdict {
		case rules.Unsatisfiable:
			return &Failure{Status: http.StatusGatewayTimeout, Reason: "only-if-cached"}
		case rules.Fresh, rules.Stale:
			o, _ := c.store.Get(all[i].key)
			if o == nil { // evicted
				c.forget(t.Key, all[i].key)
				continue
			}
			if decision.Verdict == rules.Stale {
				c.renew(t, request)
			}
			return c.answer(w, r, t, o, all[i], status{hit: true, ttl: decision.TTL, reason: decision.Reason})
		}
		result, shared := c.ask(w, r, t, c.question(t, request, len(all) > 0, stored != nil), alone)
		switch {
		case result.err != nil && r.Context().Err() != nil:
			return r.Context().Err()
		case (result.err != nil && !lasting(result.err) || rules.Failed(result.status())) && decision.IfError:
			if o, _ := c.store.Get(all[i].key); o != nil {
				result.discard()
				return c.answer(w, r, t, o, all[i], status{ttl: decision.TTL, reason: decision.Reason, failed: true})
			}
			if result.err != nil {
				return c.failure(result.err)
			}
		case result.err != nil:
			return c.failure(result.err)
		}
		if result.part != nil {
			return c.pass(w, r, t, request, result.part, decision.Reason)
		}
		if result.bare != nil {
			return c.bare(w, result.bare, decision.Reason)
		}
		if result.again {
			continue
		}
		if result.key == "" { // what came was for another client
			alone = true
			continue
		}
		k, ok := c.find(t.Key, result.key)
		o, _ := c.store.Get(result.key)
		if o == nil || !ok || shared && !k.Matches(request.Header) {
			if o != nil {
				o.Release()
			}
			alone = true
			continue
		}
		return c.answer(w, r, t, o, k, status{reason: decision.Reason, collapsed: shared, by: result.by, stored: result.by == 0, came: result.came})
	}
}

// lasting reports whether an error is the origin's word that it will not give the target out: nothing that is kept may
// stand in for that.
func lasting(err error) bool {
	var answer *cache.OriginError
	return errors.As(err, &answer) && answer.Status < http.StatusInternalServerError && !answer.Temporary
}

func (c *Cache) find(target, key string) (kept, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.kept[target]
	i := slices.IndexFunc(all, func(k kept) bool { return k.key == key })
	if i < 0 {
		return kept{}, false
	}
	return all[i], true
}

// request is what of a client's request counts.
func (t *Target) request(r *http.Request) rules.Request {
	request := rules.Request{Method: r.Method, URL: t.URL}
	if !t.Private {
		request.Header = maps.Clone(r.Header)
		delete(request.Header, "Accept-Encoding") // the origin sees ours of both, so no answer of its can vary by theirs
		delete(request.Header, "User-Agent")
	} else {
		request.Header = http.Header{}
		for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
			if v := r.Header[name]; len(v) > 0 {
				request.Header[name] = v
			}
		}
	}
	return request
}

// evaluate applies a client's conditions to an answer that is kept.
func (t *Target) evaluate(r *http.Request, stored rules.Response) rules.Outcome {
	request := rules.Request{Method: r.Method, URL: t.URL, Header: r.Header} // no condition is in what request removes
	if t.Private {
		request = t.request(r)
	}
	return rules.Evaluate(request, stored)
}
