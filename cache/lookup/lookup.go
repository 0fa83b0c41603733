// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Config is what a Cache is made of.
type Config[V any] struct {
	// Group names what a value belongs to, so that it can be forgotten without knowing its keys. Nil: no groups.
	Group func(V) string
	// Negative reports whether an error is an answer, one that is kept for the negative lifetime. Nil: none is.
	Negative func(error) bool
	// MaxEntries bounds the number of answers that are kept.
	MaxEntries int64
}

// Terms are what somebody wants of a Cache: users of one may differ in them.
type Terms[V any] struct {
	// Value and Negative are how long answers are fresh.
	Value    time.Duration
	Negative time.Duration
	// Usable reports whether a value of that age may stand in for a fresh one while there is none. Nil: none may.
	Usable func(value V, age time.Duration) bool
	// Patience is how long the source is waited for; 0: as long as it takes. The source is asked to the end all the same. When
	// it took longer lately, nobody waits who has a usable value.
	Patience time.Duration
	// Late is how long an answer is fresh, at least, that took longer than the patience, from its arrival on: whoever asked
	// for it has been told to come back.
	Late time.Duration
	// Held are answers beside those of the Cache, with which they are compared: the newer one counts. Nil: none.
	Held *Held[V]
}

// of is the lifetime of values or of negative answers.
func (t *Terms[V]) of(negative bool) time.Duration {
	if negative {
		return t.Negative
	}
	return t.Value
}

// ErrSlow is the error when the source takes longer than the user's patience.
var ErrSlow = errors.New("the source has not answered yet")

// Load asks the source. Its context is not that of any single caller.
type Load[V any] func(ctx context.Context, key string) (V, error)

// Entry is an answer.
type Entry[V any] struct {
	Value  V
	Status cache.Status
	Age    time.Duration // since the source was asked for the oldest part of it
	TTL    time.Duration // until it is stale; negative when it is
	Usable bool          // it is stale, and may stand in for a fresh one
	// Negative is a negative answer that is stale, beside an error that there is no fresh one. There is no Value then, and only
	// Age is set. What was forgotten is not told.
	Negative error
}

// Cache remembers answers. It may be used by many goroutines at once.
type Cache[V any] struct {
	config Config[V]
	flight cache.Flight[string, *item[V]]

	using  sync.RWMutex // held for writing once, by Close: Ristretto must not be used while it closes
	closed bool
	held   *ristretto.Cache[string, *item[V]]

	// forgotten holds, for each name's slot, the latest epoch at which one of the slot's names was forgotten. Names that
	// share a slot cost each other a fill now and then; the table never grows.
	seed      maphash.Seed
	epoch     atomic.Uint64
	forgotten [4096]atomic.Uint64
	expired   atomic.Uint64 // the latest epoch at which all lifetimes were ended

	background context.Context // ends at Close
	stop       context.CancelFunc
	renewing   atomic.Int32

	made      time.Time
	slowUntil atomic.Int64 // until when the source is taken for slow, in nanoseconds since made
}

// item is what Ristretto holds.
type item[V any] struct {
	value      V
	err        error // a negative answer
	asked      time.Time
	since      time.Time // asked, or earlier if a part of it is older
	restored   bool      // by another process; it is never fresh
	took       time.Duration
	began      uint64 // the epoch when the source was asked
	key, group uint16 // slots
	renewed    atomic.Bool
}

// New returns a Cache. Close ends it.
func New[V any](config Config[V]) (*Cache[V], error) {
	if config.MaxEntries <= 0 {
		return nil, errors.New("lookup: MaxEntries must be positive")
	}
	held, err := ristretto.NewCache(&ristretto.Config[string, *item[V]]{
		NumCounters: config.MaxEntries * 10, MaxCost: config.MaxEntries, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	c := &Cache[V]{config: config, held: held, seed: maphash.MakeSeed(), made: time.Now()}
	c.background, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Close ends fills that nobody waits for, and lets everything go. Whoever uses the Cache at that time or later is answered
// by the source.
func (c *Cache[V]) Close() error {
	c.using.Lock()
	c.closed = true
	c.using.Unlock()
	c.stop()
	c.held.Close()
	return nil
}

// Get returns the answer for key, asking load where none is as fresh as wanted. An error comes with a stale entry when
// there is an older answer, and Status is cache.Stale then. What was forgotten is never usable.
func (c *Cache[V]) Get(ctx context.Context, key string, terms *Terms[V], load Load[V]) (Entry[V], error) {
	return c.getSince(ctx, time.Now(), c.epoch.Load(), key, terms, load)
}

// getSince is Get for somebody who came at a time and an epoch.
func (c *Cache[V]) getSince(ctx context.Context, began time.Time, came uint64, key string, terms *Terms[V], load Load[V]) (Entry[V], error) {
	now := time.Now()
	old, ok := c.kept(key)
	if held := terms.Held.get(key); held != nil && (!ok || held.asked.After(old.asked)) {
		old, ok = held, true
	}
	usable := false
	if ok {
		if ttl := c.remaining(old, terms, now); ttl > 0 {
			if ttl < terms.of(old.err != nil)/4 {
				c.renew(key, old, c.work(key, terms, load))
			}
			return Entry[V]{old.value, cache.Hit, now.Sub(old.since), ttl, false, nil}, old.err
		}
		usable = old.err == nil && terms.Usable != nil && !c.isForgotten(old) && terms.Usable(old.value, now.Sub(old.since))
	}
	work := c.work(key, terms, load)
	if usable && terms.Patience > 0 && c.isSlow() {
		c.renew(key, old, work)
		return Entry[V]{old.value, cache.Stale, now.Sub(old.since), c.remaining(old, terms, now), true, nil}, ErrSlow
	}
	var filled *item[V]
	var shared bool
	var err error
	if terms.Patience > 0 {
		waiting, cancel := context.WithDeadline(ctx, began.Add(terms.Patience))
		filled, shared, err = c.flight.Keep(waiting, c.background, key, work)
		if err != nil && ctx.Err() == nil && waiting.Err() != nil {
			err = ErrSlow
			c.slowUntil.Store(int64(time.Since(c.made) + slowFor))
		}
		cancel()
	} else {
		filled, shared, err = c.flight.Do(ctx, key, work)
	}
	if shared && err == nil && filled.began < came && c.isPast(filled) {
		// It was forgotten while it was on its way to others. What is kept or under way now began after that.
		return c.getSince(ctx, began, came, key, terms, load)
	}
	switch {
	case err == nil:
		status := cache.Miss
		if shared {
			status = cache.Collapsed
		}
		return Entry[V]{filled.value, status, 0, terms.of(filled.err != nil), false, nil}, filled.err
	case ok && old.err == nil:
		return Entry[V]{old.value, cache.Stale, time.Since(old.since), c.remaining(old, terms, now), usable && !c.isForgotten(old), nil}, err
	case ok && !c.isForgotten(old):
		return Entry[V]{Age: time.Since(old.since), Negative: old.err}, err
	}
	return Entry[V]{}, err
}

// slowFor is how long it is remembered that the source took longer than somebody's patience. An answer within it ends that.
const slowFor = 30 * time.Second

func (c *Cache[V]) isSlow() bool { return int64(time.Since(c.made)) < c.slowUntil.Load() }

// work returns what asks the source for key, and learns how slow it is.
func (c *Cache[V]) work(key string, terms *Terms[V], load Load[V]) func(context.Context) (*item[V], error) {
	patience := terms.Patience
	return func(ctx context.Context) (*item[V], error) {
		began := time.Now()
		i, err := c.fill(ctx, key, load)
		switch took := time.Since(began); {
		case patience == 0:
		case took >= patience:
			c.slowUntil.Store(int64(time.Since(c.made) + slowFor))
		case err == nil:
			c.slowUntil.Store(0)
		}
		return i, err
	}
}

// fill asks the source and keeps its answer. An error that is no answer is returned and not kept.
func (c *Cache[V]) fill(ctx context.Context, key string, load Load[V]) (*item[V], error) {
	now := time.Now()
	i := &item[V]{asked: now, since: now, began: c.epoch.Load(), key: c.slot(key)}
	value, err := load(ctx, key)
	i.took = time.Since(i.asked)
	switch {
	case err == nil:
		c.fillIn(i, value)
	case c.config.Negative != nil && c.config.Negative(err):
		i.err, i.group = err, i.key
	default:
		return nil, err
	}
	c.keep(key, i)
	return i, nil
}

func (c *Cache[V]) fillIn(i *item[V], value V) {
	i.value, i.group = value, i.key
	if c.config.Group != nil {
		i.group = c.slot(c.config.Group(value))
	}
}

// kept returns the answer for key that Ristretto has, fresh or not.
func (c *Cache[V]) kept(key string) (*item[V], bool) {
	c.using.RLock()
	defer c.using.RUnlock()
	if c.closed {
		return nil, false
	}
	return c.held.Get(key)
}

// keep hands an answer to Ristretto, which drops a Set when its buffer is full and shows none before Wait; whoever asks
// next should find it.
func (c *Cache[V]) keep(key string, i *item[V]) {
	c.using.RLock()
	defer c.using.RUnlock()
	for range 3 {
		if c.closed {
			return
		}
		accepted := c.held.Set(key, i, 1)
		c.held.Wait()
		if accepted {
			return
		}
	}
}

// maxRenewals bounds the renewals under way at once; what is not renewed is asked for when it is stale.
const maxRenewals = 64

// renew asks the source again in the background, once for each answer unless it fails.
func (c *Cache[V]) renew(key string, old *item[V], work func(context.Context) (*item[V], error)) {
	if old.err != nil || old.renewed.Swap(true) {
		return
	}
	if c.renewing.Add(1) > maxRenewals {
		c.renewing.Add(-1)
		old.renewed.Store(false)
		return
	}
	began := c.flight.Start(c.background, key, func(ctx context.Context) (*item[V], error) {
		defer c.renewing.Add(-1)
		i, err := work(ctx)
		if err != nil {
			old.renewed.Store(false) // it is still what there is
		}
		return i, err
	})
	if !began {
		c.renewing.Add(-1)
		old.renewed.Store(false)
	}
}

// Forget makes everything stale that belongs to a group, at once; or, where the name is a key, the answer for it.
func (c *Cache[V]) Forget(group string) { c.forget(c.slot(group)) }

// ForgetKey makes the answer for key stale, and everything of the group to which that answer belongs.
func (c *Cache[V]) ForgetKey(key string) {
	c.forget(c.slot(key))
	if i, ok := c.kept(key); ok {
		c.forget(i.group)
	}
}

func (c *Cache[V]) forget(slot uint16) { c.mark(&c.forgotten[slot]) }

// Expire ends the lifetime of all answers: the source is asked anew for each. Unlike what was forgotten, they are usable as
// before, since nothing is known of them but that they may be wrong.
func (c *Cache[V]) Expire() { c.mark(&c.expired) }

// mark begins a new epoch and writes it down.
func (c *Cache[V]) mark(epoch *atomic.Uint64) {
	now := c.epoch.Add(1)
	for {
		last := epoch.Load()
		if last >= now || epoch.CompareAndSwap(last, now) {
			return
		}
	}
}

func (c *Cache[V]) slot(name string) uint16 {
	return uint16(maphash.String(c.seed, name) % uint64(len(c.forgotten)))
}

// isForgotten reports whether a name that an answer goes by was forgotten after the source was asked.
func (c *Cache[V]) isForgotten(i *item[V]) bool {
	return c.forgotten[i.key].Load() > i.began || c.forgotten[i.group].Load() > i.began
}

// isPast reports whether an answer was forgotten, or its lifetime ended, after the source was asked.
func (c *Cache[V]) isPast(i *item[V]) bool {
	return c.expired.Load() > i.began || c.isForgotten(i)
}

// remaining is how long an answer is fresh yet.
func (c *Cache[V]) remaining(i *item[V], terms *Terms[V], now time.Time) time.Duration {
	if i.restored {
		return min(terms.of(false)-now.Sub(i.since), 0)
	}
	if c.isPast(i) {
		return 0
	}
	age := now.Sub(i.since)
	left := terms.of(i.err != nil) - age
	if terms.Patience > 0 && i.took >= terms.Patience {
		left = max(left, terms.Late+i.took-now.Sub(i.asked))
	}
	return left
}
