// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"sync"
	"testing"
)

// TestPrefetchOfWhatWasTakenOut prefetches again what is not in the store any more, though the origin confirms what is
// remembered of it.
func TestPrefetchOfWhatWasTakenOut(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var target Target // as the server has made it
	e := newEdge(t, content(testBytes(3*testBlock), `"1"`), func(t *Target) {
		mu.Lock()
		defer mu.Unlock()
		target = *t
	})
	e.get(t, "/k")
	mu.Lock()
	defer mu.Unlock()
	for key := range e.store.Keys() {
		e.store.RemoveKey(key)
	}
	have := int64(0)
	if err := e.Prefetch(t.Context(), &target, func(n, _ int64) { have = n }); err != nil || have != 3*testBlock {
		t.Errorf("%d bytes, %v", have, err)
	}
}
