// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"sync"
	"time"
)

// Held are answers that somebody keeps up to date otherwise than by asking for them one by one. Ristretto may let an answer
// go at any time; these stay until they are dropped, and whoever holds them bounds their number. They are used by those
// whose Terms name them, and go by the same rules as all others. The zero Held is ready for use by many goroutines at once.
type Held[V any] struct {
	mu      sync.RWMutex
	answers map[string]*item[V]
}

// Offer is an answer that was come by otherwise than through Get.
type Offer[V any] struct {
	Value V
	// Asked is when the source was asked: before an older answer, this one is used.
	Asked time.Time
	// Since is when it was asked for the oldest part of Value, from where age and lifetime count.
	Since time.Time
	// Began is what Epoch returned before the source was asked. What has been forgotten since then is not used.
	Began uint64
	// Restored says that another process asked, by another clock. The answer is never fresh, but may stand in for a fresh one.
	Restored bool
}

// Epoch is what an Offer takes as Began.
func (c *Cache[V]) Epoch() uint64 { return c.epoch.Load() }

// Hold has an answer held for key, in place of what is held for it: whoever holds answers knows which is right.
func (c *Cache[V]) Hold(held *Held[V], key string, offer Offer[V]) {
	i := &item[V]{asked: offer.Asked, since: offer.Since, restored: offer.Restored, began: offer.Began, key: c.slot(key)}
	c.fillIn(i, offer.Value)
	held.mu.Lock()
	defer held.mu.Unlock()
	if held.answers == nil {
		held.answers = make(map[string]*item[V])
	}
	held.answers[key] = i
}

// Drop lets go of what is held for key, of which the Cache makes no use from then on.
func (c *Cache[V]) Drop(held *Held[V], key string) {
	held.mu.Lock()
	delete(held.answers, key)
	held.mu.Unlock()
	c.Forget(key)
}

// Forgotten reports whether a name was forgotten after an epoch. It may say so of one that shares its slot.
func (c *Cache[V]) Forgotten(name string, began uint64) bool {
	return c.forgotten[c.slot(name)].Load() > began
}

// get returns what is held for key, or nil.
func (h *Held[V]) get(key string) *item[V] {
	if h == nil {
		return nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.answers[key]
}
