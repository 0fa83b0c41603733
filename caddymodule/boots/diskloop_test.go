// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestDiskLoop has machines that are sent to their disk come back, in every rhythm, and others that only look like it.
func TestDiskLoop(t *testing.T) {
	every := func(pause time.Duration, times int) func(m machine) {
		return func(m machine) {
			for range times {
				time.Sleep(pause)
				m.script("boot_whole_disk", "active", "state")
			}
		}
	}
	for name, c := range map[string]struct {
		does func(m machine)
		seen string // by how many scripts; empty: it is none
		told int
	}{
		"every few seconds":                 {every(5*time.Second, 4), "sent to its disk 4 times", 1},
		"every few seconds, three times":    {every(5*time.Second, 3), "", 0},
		"every half minute":                 {every(settle+time.Second, 4), "sent to its disk 4 times", 1},
		"every half hour":                   {every(loopWithin, 9), "", 0},
		"for hours, which is told once":     {every(5*time.Minute, 40), "sent to its disk 40 times", 1},
		"quickly and slowly by turns":       {func(m machine) { every(time.Second, 2)(m); every(time.Minute, 2)(m) }, "sent to its disk 4 times", 1},
		"it stays in the end":               {func(m machine) { every(time.Minute, 5)(m); time.Sleep(loopWithin) }, "", 1},
		"it stays, and begins again":        {func(m machine) { every(time.Minute, 5)(m); time.Sleep(loopWithin); every(time.Minute, 4)(m) }, "sent to its disk 4 times", 2},
		"one NIC after the other":           {nics(4, 1), "", 0},
		"all its NICs, and all of it again": {nics(4, 4), "sent to its disk 4 times", 1},
		"asked for by its UUID": {func(m machine) {
			for range 4 {
				m.Script(&Script{Node: node1, Name: "node-1", State: "active", Client: client1, Kind: kindDisk})
				time.Sleep(time.Second)
			}
		}, "sent to its disk 4 times", 1},
		"another kind between": {func(m machine) {
			every(time.Minute, 2)(m)
			m.script("deploy", waited, "state")
			every(time.Minute, 3)(m)
		}, "", 0},
		"it gets no script": {func(m machine) {
			for range 5 {
				m.script("", "available", "state")
				time.Sleep(time.Minute)
			}
		}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := machine{New(100)}
				var told []Notice
				m.run(t, &told)
				c.does(m)
				synctest.Wait()
				b, _ := m.Get(node1)
				seen := ""
				for _, d := range b.Diagnoses {
					if d.Code == codeDiskLoop {
						seen = d.Seen
					}
				}
				if want := c.seen; (seen == "") != (want == "") || want != "" && seen != "The machine has been "+want+" one after the other, and comes back." {
					t.Errorf("it says %q, want %q of %+v", seen, want, b)
				}
				n := 0
				for _, notice := range told {
					if notice.Kind == NoticeStuck && notice.Diagnosis.Code == codeDiskLoop && notice.Boot.Node == node1 {
						n++
					}
				}
				if n != c.told {
					t.Errorf("it is told %d times, want %d", n, c.told)
				}
				if b.Outcome == Stuck || b.Outcome == Running {
					t.Errorf("the boot is %s: the machine is its disk's", b.Outcome)
				}
			})
		})
	}
}

// nics has a machine's firmware try so many NICs, one after the other, so many times.
func nics(n, times int) func(machine) {
	return func(m machine) {
		for range times {
			for i := range n {
				m.Script(&Script{MAC: fmt.Sprintf("52:54:00:17:01:%02d", i), Node: node1, State: "active", Client: client1, Kind: kindDisk})
				time.Sleep(time.Second)
			}
		}
	}
}
