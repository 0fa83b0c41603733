// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"sync"
	"testing"
	"time"
)

// TestSiteOutageIsKnown has more machines ask than may look their nodes up alone. While it is known that Ironic cannot be
// asked, nobody waits for a reading that would find out the same.
func TestSiteOutageIsKnown(t *testing.T) {
	atOnce := func(t *testing.T, r *rack, what, key string) {
		t.Helper()
		start, before := time.Now(), r.line.calls.Load()
		if e, err := r.ask(t.Context(), key); err == nil || e.Usable || time.Since(start) != 0 || r.line.calls.Load() != before {
			t.Errorf("%s: %+v, %v after %v and %d calls; want an error at once", what, e, err, time.Since(start), r.line.calls.Load()-before)
		}
	}
	t.Run("down", func(t *testing.T) {
		inRack(t, sitePart{}, func(t *testing.T, r *rack) {
			later(2 * defaultNodeTTL)
			r.line.cut.Store(true)
			var machines sync.WaitGroup
			for i := range 8 {
				machines.Go(func() { _, _ = r.ask(t.Context(), demoMAC(1+i)) })
			}
			machines.Wait()
			if r.h.site.gate.down() == nil {
				t.Fatal("Ironic is not taken for down")
			}
			for range 20 {
				atOnce(t, r, "Ironic is down", demoMAC(7))
			}
		})
	})
	t.Run("a reading failed", func(t *testing.T) {
		inRack(t, sitePart{}, func(t *testing.T, r *rack) {
			later(2 * defaultNodeTTL)
			for i := range 8 {
				if _, err := r.ask(t.Context(), demoMAC(1+i)); err != nil {
					t.Fatal(err)
				}
			}
			r.line.cut.Store(true)
			if e, err := r.ask(t.Context(), demoMAC(9)); err == nil {
				t.Errorf("%+v, want an error", e)
			}
			atOnce(t, r, "a reading has just failed", demoMAC(9))
		})
	})
}
