// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"testing"
	"time"
)

// TestSiteReadingsAndTheGate has an outage that only readings notice: the first one that fails is enough, Ironic is asked no more then
// than each interval's reading and the gate's looks do, and the first reading that succeeds ends it.
func TestSiteReadingsAndTheGate(t *testing.T) {
	inRack(t, sitePart{interval: shortestInterval}, func(t *testing.T, r *rack) {
		r.line.cut.Store(true)
		later(shortestInterval*11/10 + 2*time.Second) // the interval, and three attempts each of a reading and a look
		if r.h.site.gate.down() == nil {
			t.Fatal("Ironic is not taken for down after a reading that failed")
		}
		later(time.Minute) // the pauses between looks have grown
		before := r.line.calls.Load()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); later(100 * time.Millisecond) {
			if e, err := r.ask(t.Context(), demoMAC(7)); err == nil || e.Usable {
				t.Fatalf("%+v, %v", e, err)
			}
			r.h.site.refreshNode(nodeUUID(7))
		}
		// Readings four and a half seconds apart at least, and looks 22 seconds, of three attempts each.
		if n := r.line.calls.Load() - before; n > 3*(14+3) {
			t.Errorf("%d calls in a minute", n)
		}
		r.line.cut.Store(false)
		for r.h.site.gate.down() != nil {
			later(time.Second / 10)
			if _, _, age := r.h.roster.Size(); age < time.Second && r.h.site.gate.down() != nil {
				t.Fatal("a reading succeeded, and Ironic is still taken for down")
			}
		}
	})
}

// TestSiteSilence has an Ironic fall silent, or so slow that no call comes to its end: one reading
// is enough to know it.
func TestSiteSilence(t *testing.T) {
	for name, delay := range map[string]time.Duration{"silent": 24 * time.Hour, "slow": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inRack(t, sitePart{}, func(t *testing.T, r *rack) {
				later(2 * defaultNodeTTL)
				r.line.delay.Store(int64(delay))
				later(defaultInterval*11/10 + 3*defaultTimeout)
				if r.h.site.gate.down() == nil {
					t.Error("Ironic is not taken for down by the readings alone")
				}
				r.line.delay.Store(0)
				later(2 * time.Minute)
				if err := r.h.site.gate.down(); err != nil {
					t.Fatal(err)
				}
				r.line.delay.Store(int64(delay))
				later(defaultInterval*11/10 + 3*defaultTimeout) // a quick reading, and a look
				if r.h.site.gate.down() == nil {
					t.Error("Ironic is not taken for down by the readings alone")
				}
			})
		})
	}
}
