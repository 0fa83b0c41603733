// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// TestSlowSource has a source that takes ten seconds: one who has a usable value waits for it as long as patience lasts, and
// the others do not, until it is quick again or a while has passed.
func TestSlowSource(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], _ *source) {
		var takes atomic.Int64
		load := func(ctx context.Context, key string) (string, error) {
			select {
			case <-time.After(time.Duration(takes.Load())):
				return key, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		terms := &Terms[string]{Value: time.Second, Patience: 2 * time.Second,
			Usable: func(v string, _ time.Duration) bool { return v != "c" }}
		check := func(key string, want time.Duration, slow bool) {
			t.Helper()
			before := time.Now()
			e, err := c.Get(t.Context(), key, terms, load)
			if took := time.Since(before); took != want || errors.Is(err, ErrSlow) != slow || (e.Status == cache.Stale) != slow || e.Usable != (slow && key != "c") {
				t.Errorf("%s: Get = %+v, %v after %v; want that after %v, slow %v", key, e, err, took, want, slow)
			}
		}
		for _, key := range []string{"a", "b", "c"} {
			check(key, 0, false)
		}
		takes.Store(int64(10 * time.Second))
		pass(time.Minute)
		check("a", 2*time.Second, true)
		check("a", 0, true)
		check("b", 0, true)
		check("c", 2*time.Second, true) // nothing is usable: it might come yet

		pass(12 * time.Second) // the answers came after ten seconds, and are old again
		check("a", 0, true)
		synctest.Wait() // its question has begun

		takes.Store(int64(time.Second))
		pass(10 * time.Second) // what was asked for last takes ten seconds yet, and is older than it may be
		check("b", 0, true)    // asks in the background, which takes a second
		pass(3 * time.Second)
		check("a", time.Second, false)

		takes.Store(int64(10 * time.Second))
		pass(2 * time.Second)
		check("a", 2*time.Second, true)
		pass(time.Minute) // it may be quick again; somebody has to find out
		check("a", 2*time.Second, true)
	})
}
