// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
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
			askAlone(t, r)
			r.line.cut.Store(true)
			if e, err := r.ask(t.Context(), demoMAC(9)); err == nil {
				t.Errorf("%+v, want an error", e)
			}
			atOnce(t, r, "a reading has just failed", demoMAC(9))
		})
	}) // Who comes while a reading is under way waits for the next one. Nobody is to wait on when the first one fails.
	meanwhile := func(t *testing.T, r *rack) {
		t.Helper()
		start := time.Now()
		if e, err := r.ask(t.Context(), demoMAC(9)); !errors.Is(err, ironic.ErrUnavailable) || e.Usable {
			t.Errorf("%+v, %v after %v; want that Ironic cannot be asked", e, err, time.Since(start))
		}
	}
	t.Run("a reading fails meanwhile", func(t *testing.T) {
		inRack(t, sitePart{}, func(t *testing.T, r *rack) {
			later(2 * defaultNodeTTL)
			askAlone(t, r)
			r.line.cut.Store(true)
			go func() { _, _ = r.ask(t.Context(), demoMAC(10)) }()
			later(50 * time.Millisecond)
			meanwhile(t, r)
		})
	})
	t.Run("a quick reading fails meanwhile", func(t *testing.T) {
		inRack(t, sitePart{}, func(t *testing.T, r *rack) {
			// Three attempts take a second, with what lies between them; a full reading after the quick one would, too.
			const attempt = 200 * time.Millisecond
			r.h.terms.Patience = 1200 * time.Millisecond
			r.line.delay.Store(int64(attempt))
			for before := r.line.calls.Load(); r.line.calls.Load() == before; {
				later(10 * time.Millisecond)
			}
			r.line.delay.Store(0)
			askAlone(t, r)
			r.line.delay.Store(int64(attempt))
			r.line.cut.Store(true)
			meanwhile(t, r)
		})
	})
}

// askAlone has as many machines look up their nodes as may do so alone.
func askAlone(t *testing.T, r *rack) {
	t.Helper()
	for i := range 8 {
		if _, err := r.ask(t.Context(), demoMAC(1+i)); err != nil {
			t.Fatal(err)
		}
	}
}
