// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

const stranger = "/pxelinux.cfg/52-54-00-17-00-ff"

// TestAbsent asks for a MAC that no node has, during an outage.
func TestAbsent(t *testing.T) {
	for name, tt := range map[string]struct {
		site    bool
		unknown string // unknown_mac
		asked   bool   // before the outage
		lasts   time.Duration
		trouble trouble
		status  int
		reason  string
	}{
		"with an inventory":               {true, "", false, time.Hour, refused, 404, reasonAbsent},
		"past its window":                 {true, "", false, 25 * time.Hour, refused, 503, reasonUnavailable},
		"unknown_mac local":               {true, "local", false, time.Hour, refused, 200, reasonAbsent},
		"Ironic answers with garbage":     {true, "", false, time.Hour, answering(200, "<html>"), 200, reasonBadAnswer},
		"Ironic is only slow":             {true, "", false, 0, slowBy(2 * time.Second), 503, reasonSlow},
		"without an inventory":            {false, "", false, time.Minute, refused, 503, reasonUnavailable},
		"remembered":                      {false, "", true, 10 * time.Minute, refused, 404, reasonAbsent},
		"remembered, and past its window": {false, "", true, 16 * time.Minute, refused, 503, reasonUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(h *Handler) {
				h.UnknownMAC = tt.unknown
				if tt.site {
					h.Site = &Site{All: true, Snapshot: snapshotOff}
				}
			}, func(t *testing.T, b *bubble) {
				b.handler.startRoster()
				synctest.Wait()
				if tt.asked {
					b.ask(t, stranger, "")
				}
				b.suffer(tt.trouble)
				pass(tt.lasts)
				if !tt.site && tt.lasts > 0 { // others have found out that Ironic is down
					for range maxFailures {
						b.script(t, 1)
						pass(time.Second)
					}
				}
				if got := b.ask(t, stranger, ""); got.status != tt.status || got.header.Get(reasonHeader) != tt.reason {
					t.Errorf("%d %s, want %d %s\n%s", got.status, got.header.Get(reasonHeader), tt.status, tt.reason, got.body)
				}
			})
		})
	}
}

// TestSecondNICDuringAnOutage boots a machine of which Ironic knows the second NIC only.
func TestSecondNICDuringAnOutage(t *testing.T) {
	inBubble(t, func(h *Handler) { h.Site = &Site{All: true, Snapshot: snapshotOff} }, func(t *testing.T, b *bubble) {
		b.handler.startRoster()
		synctest.Wait()
		b.suffer(refused)
		pass(time.Minute)
		machine := ipxetest.Machine{NICs: []string{"52:54:00:17:00:ff", "52:54:00:17:00:06"}, Base: "http://edge.test:8080/boot.ipxe",
			Network: ipxetest.NetworkFunc(func(r ipxetest.Request) ipxetest.Response {
				target, ours := strings.CutPrefix(r.URL, "http://edge.test:8080")
				if !ours {
					return ipxetest.Response{Status: 200} // the disk
				}
				got := b.ask(t, target, "")
				return ipxetest.Response{Status: got.status, Body: []byte(got.body), RetryAfter: got.header.Get("Retry-After")}
			})}
		trace := ipxetest.Run([]byte(b.ask(t, "/boot.ipxe", "").body), machine)
		if s := trace.String(); !strings.Contains(s, "52-54-00-17-00-06") || !strings.Contains(s, "0x80") {
			t.Errorf("the machine does not boot its disk:\n%s", s)
		}
	})
}

// TestAbsentAfterARestart has the snapshot tell that there were no other nodes, and how long ago that was.
func TestAbsentAfterARestart(t *testing.T) {
	inRack(t, sitePart{file: filepath.Join(t.TempDir(), "site.json")}, func(t *testing.T, r *rack) {
		began := time.Now().Add(-time.Second)
		later(time.Minute) // the first reading was of all nodes, and those since then of what changed
		absent := func(address string, want bool) {
			t.Helper()
			age, absent := r.h.roster.Absent(address)
			if absent != want || want && (age < time.Since(began)-time.Second || age > time.Since(began)) {
				t.Errorf("%s: absent %v, known %v ago; want %v, %v", address, absent, age, want, time.Since(began))
			}
		}
		for range 3 {
			absent("52:54:00:17:00:ff", true)
			absent("52:54:00:17:00:06", false)
			absent("52:54:00:17:00:09", false) // boots from a volume: the snapshot has no more than that it is there
			r.kill(t)
			r.line.cut.Store(true)
			later(time.Hour)
			r.start(t)
			later(2 * time.Second)
		}
		r.kill(t)
		if err := os.Remove(r.part.file); err != nil {
			t.Fatal(err)
		}
		r.start(t)
		absent("52:54:00:17:00:ff", false)
	})
}
