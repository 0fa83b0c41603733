// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

func TestExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		get(t, c, s, "a", "a 1", cache.Miss)
		s.fail(errNone)
		if _, err := c.Get(t.Context(), "none", seconds, s.load); !errors.Is(err, errNone) {
			t.Fatal(err)
		}
		s.fail(nil)
		c.Expire()
		get(t, c, s, "a", "a 3", cache.Miss)
		get(t, c, s, "none", "none 4", cache.Miss)
		get(t, c, s, "a", "a 3", cache.Hit) // once
	})
}

// TestExpiredIsUsable is about a source that cannot be asked when lifetimes are ended: what it said last is used as if
// they had ended by themselves, unless it was forgotten.
func TestExpiredIsUsable(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		terms := &Terms[string]{Value: time.Hour, Usable: func(string, time.Duration) bool { return true }}
		get(t, c, s, "a", "a 1", cache.Miss)
		get(t, c, s, "b", "b 2", cache.Miss)
		c.Forget("b")
		c.Expire()
		s.fail(errDown)
		for key, want := range map[string]bool{"a": true, "b": false} {
			if e, err := c.Get(t.Context(), key, terms, s.load); !errors.Is(err, errDown) || e.Usable != want {
				t.Errorf("%s: Get = %+v, %v; want it usable: %t", key, e, err, want)
			}
		}
	})
}

// TestExpireDuringAFillOfAnother is about who asks after Expire, while an older answer is on its way to somebody else.
func TestExpireDuringAFillOfAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		release := make(chan struct{})
		s.block.Store(&release)
		var group sync.WaitGroup
		group.Go(func() { get(t, c, s, "a", "a 1", cache.Miss) })
		synctest.Wait()
		c.Expire()
		group.Go(func() {
			if e, err := c.Get(t.Context(), "a", seconds, s.load); e.Value != "a 2" || err != nil {
				t.Errorf("Get = %q, %v after Expire; want the answer to a question put after it, a 2", e.Value, err)
			}
		})
		synctest.Wait()
		close(release)
		group.Wait()
	})
}
