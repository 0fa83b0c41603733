// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	node1  = "6d4c7e01-1700-4000-8000-000000000001"
	node2  = "6d4c7e01-1700-4000-8000-000000000002"
	mac1   = "52:54:00:17:00:01"
	mac2   = "52:54:00:17:00:02"
	mac3   = "52:54:00:17:00:03"
	req1   = "req-00000000-0000-4000-8000-000000000001"
	waited = "wait call-back"
)

var (
	client1 = netip.MustParseAddr("10.0.0.1")
	client2 = netip.MustParseAddr("10.0.0.2")
)

// machine does to a timeline what a machine in a rack does.
type machine struct{ *Timeline }

func (m machine) script(kind, state, reason string) {
	m.Script(&Script{MAC: mac1, Node: node1, Name: "node-1", State: state, Client: client1, Firmware: "iPXE/1.21.1+", Kind: kind, Reason: reason, Cache: "miss", RequestID: req1})
}

// fetch gets so many bytes of an image.
func (m machine) fetch(label string, got, size string, n int64, whole bool) *Transfer {
	counter := new(atomic.Int64)
	x := m.Image(node1, client1, label, counter)
	if got == "" {
		x.Begin(200, size, "")
	} else {
		x.Begin(206, "", "bytes "+got+"/"+size)
	}
	counter.Add(n)
	if whole {
		x.End(true)
	}
	return x
}

func (m machine) images() {
	m.fetch("deploy_kernel", "", "1000", 1000, true)
	time.Sleep(time.Second)
	m.fetch("deploy_ramdisk", "", "1000", 1000, true)
}

func (m machine) call(kind EventKind, status int, reason string) {
	c := &Call{Kind: kind, RequestID: req1, Client: client1, Status: status, Reason: reason}
	if kind == EventHeartbeat {
		c.Node = node1
	} else {
		c.MACs = []string{mac1}
	}
	m.Agent(c)
}

// run looks after the timeline until the test ends.
func (m machine) run(t *testing.T, told *[]Notice) {
	t.Helper()
	go m.Run(t.Context(), nil, func(n Notice) { *told = append(*told, n) })
}

// TestRules has each rule, and what it says, in a boot that goes wrong in that way. Each case is looked at a moment before
// the rule holds, too.
func TestRules(t *testing.T) {
	cases := []struct {
		code   Code
		does   func(m machine)
		within time.Duration // until the rule holds
		seen   string
	}{
		{"failed", func(m machine) {
			m.script("deploy", waited, "state")
			m.images()
			m.State(node1, "deploy failed")
		}, 0, `Ironic shows the node as "deploy failed".`},
		{"script_refused", func(m machine) { m.script("", "active", "secret") }, 0, "the script needs what Ironic's API masks (secret)"},
		{"script_refused", func(m machine) { m.script("explain", "new state", "unknown_state") }, 0, "that this release of the edge does not know (unknown_state)"},
		{"nothing_to_boot", func(m machine) { m.script("", "available", "state") }, 0, "there is nothing to boot in its provision state (state)"},
		{"script_waits", func(m machine) {
			m.script("deploy", waited, "state")
			m.script("", waited, "ironic_unavailable")
		}, 0, "waits for its script: Ironic cannot be asked"},
		{"script_delayed", func(m machine) { m.script("", waited, "ironic_unavailable") }, waitWithin, "has waited for its script since "},
		{"lookup_guarded", func(m machine) {
			m.script("deploy", waited, "state")
			m.images()
			m.call(EventLookup, 403, "lookup_guard")
		}, 0, "the edge refuses its lookup (lookup_guard)"},
		{"lookup_unanswered", func(m machine) {
			m.script("deploy", waited, "state")
			m.images()
			m.call(EventLookup, 502, "")
		}, 0, "does not answer its lookup (status 502)"},
		{"lookup_refused", func(m machine) {
			m.script("deploy", waited, "state")
			m.images()
			m.call(EventLookup, 404, "")
		}, 0, `refuses its lookup (status 404) in state "wait call-back"`},
		{"machine_reports", func(m machine) {
			m.script("deploy", waited, "state")
			m.fetch("deploy_kernel", "", "1000", 1000, true)
			m.Report(&Report{Node: node1, Client: client1, Label: "deploy_ramdisk", Errno: 0x4c0c6035, Attempt: 2})
		}, 0, "deploy_ramdisk did not arrive, nothing came in time (error 4c0c6035 of iPXE), attempt 2"},
		{"heartbeat_refused", func(m machine) {
			m.script("deploy", waited, "state")
			m.call(EventLookup, 200, "")
			m.call(EventHeartbeat, 400, "")
		}, 0, "its heartbeat is refused (status 400)"},
		{"heartbeat_lost", func(m machine) {
			m.script("deploy", waited, "state")
			m.call(EventLookup, 200, "")
			m.call(EventHeartbeat, 202, "")
		}, heartbeatEvery, "has not reported since "},
		{"no_heartbeat", func(m machine) {
			m.script("deploy", waited, "state")
			m.images()
			m.call(EventLookup, 200, "")
		}, heartbeatWithin, "and no heartbeat came"},
		{"state_stands", func(m machine) {
			m.script("deploy", waited, "state")
			m.call(EventLookup, 200, "")
			m.call(EventHeartbeat, 202, "")
			for range 9 {
				time.Sleep(stateWithin / 9)
				m.call(EventHeartbeat, 202, "")
			}
		}, 0, `has been in state "wait call-back" since `},
		{"boot_loop", func(m machine) {
			for range loopAfter + 1 {
				time.Sleep(5 * time.Minute)
				m.script("deploy", waited, "state")
			}
		}, 0, "in 4 boots one after the other"},
		{"disk_loop", func(m machine) {
			for range loopAfter + 1 {
				time.Sleep(5 * time.Minute)
				m.script("boot_whole_disk", "active", "state")
			}
		}, 0, "sent to its disk 4 times one after the other"},
		{"image_refused", func(m machine) {
			m.script("deploy", waited, "state")
			m.ImageRefused(node1, client1, "deploy_kernel", "no_image")
		}, 0, "is refused deploy_kernel: nobody names the image that it needs (no_image)"},
		{"origin_down", func(m machine) {
			m.script("deploy", waited, "state")
			m.ImageRefused(node1, client1, "deploy_ramdisk", "origin")
		}, 0, "The origin of deploy_ramdisk does not deliver it."},
		{"image_waits", func(m machine) {
			m.script("deploy", waited, "state")
			m.ImageRefused(node1, client1, "deploy_ramdisk", "busy")
		}, 0, "waits for deploy_ramdisk: as many transfers"},
		{"image_stalled", func(m machine) {
			m.script("deploy", waited, "state")
			m.fetch("deploy_kernel", "", "1000", 1000, true)
			m.fetch("deploy_ramdisk", "", "1000", 318, false)
			time.Sleep(2 * sampleEvery) // it is seen to have moved
		}, stallAfter, "deploy_ramdisk stands still at 31 % since "},
		{"image_broken", func(m machine) {
			m.script("deploy", waited, "state")
			m.fetch("deploy_kernel", "", "1000", 999, false).End(false)
		}, nextFetchWithin, "deploy_kernel broke off at 99 %, and has not been asked for again since "},
		{"image_retried", func(m machine) {
			m.script("deploy", waited, "state")
			for range 2 {
				m.fetch("deploy_kernel", "", "1000", 500, false).End(false)
			}
			m.fetch("deploy_kernel", "", "1000", 100, false)
		}, 0, "fetches deploy_kernel for the 3. time"},
		{"kernel_not_asked", func(m machine) { m.script("deploy", waited, "state") }, nextFetchWithin, "has not asked for the kernel"},
		{"ramdisk_not_asked", func(m machine) {
			m.script("deploy", waited, "state")
			m.fetch("deploy_kernel", "", "1000", 1000, true)
		}, nextFetchWithin, "has not asked for the ramdisk"},
		{"no_lookup", func(m machine) {
			m.script("deploy", waited, "state")
			m.images()
		}, lookupWithin, "no agent has looked itself up"},
		{"two_nics", func(m machine) {
			m.script("deploy", waited, "state")
			m.Script(&Script{MAC: mac2, Node: node1, State: waited, Client: client1, Kind: "deploy", Reason: "state"})
		}, 0, mac1 + ", " + mac2},
	}
	tested := make(map[Code]bool)
	for _, c := range cases {
		tested[c.code] = true
		t.Run(string(c.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := machine{New(10)}
				var told []Notice
				m.run(t, &told)
				c.does(m)
				held := func() *Diagnosis {
					b, ok := m.Get(node1)
					if !ok {
						t.Fatal("there is no boot")
					}
					for i := range b.Diagnoses {
						if b.Diagnoses[i].Code == c.code {
							return &b.Diagnoses[i]
						}
					}
					return nil
				}
				if c.within > 0 {
					if time.Sleep(c.within - 3*sampleEvery); held() != nil {
						t.Errorf("%s is found too early: %+v", c.code, held())
					}
					time.Sleep(4 * sampleEvery)
				}
				d := held()
				if d == nil {
					b, _ := m.Get(node1)
					t.Fatalf("%s is not found in %+v", c.code, b)
				}
				if !strings.Contains(d.Seen, c.seen) || !strings.HasSuffix(d.Seen, ".") || !strings.HasSuffix(d.Next, ".") {
					t.Errorf("%s says %q and %q, want a sentence with %q and another", c.code, d.Seen, d.Next, c.seen)
				}
			})
		})
	}
	manual, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []Code{CodeUnknownMAC, CodeNeverAsked} {
		if !strings.Contains(string(manual), "`"+string(code)+"`") {
			t.Errorf("docs/operating.md does not say what %s is", code)
		}
	}
	for _, r := range rules {
		if !strings.Contains(string(manual), "`"+string(r.code)+"`") {
			t.Errorf("docs/operating.md does not say what %s is", r.code)
		}
		if !tested[r.code] {
			t.Errorf("no boot goes wrong as rule %s has it", r.code)
		}
	}
}

// TestGoodBootHasNoDiagnosis takes a node through its deployment at a usual pace.
func TestGoodBootHasNoDiagnosis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(10)}
		var told []Notice
		m.run(t, &told)
		m.script("deploy", waited, "state")
		time.Sleep(20 * time.Second)
		m.images()
		time.Sleep(2 * time.Minute)
		m.call(EventLookup, 200, "")
		for range 5 {
			time.Sleep(time.Minute)
			m.call(EventHeartbeat, 202, "")
			if b, _ := m.Get(req1); len(b.Diagnoses) > 0 || b.Outcome != Running {
				t.Errorf("%s, %+v", b.Outcome, b.Diagnoses)
			}
		}
		m.State(node1, "deploying")
		time.Sleep(time.Minute)
		m.State(node1, "active")
		time.Sleep(time.Minute)
		b, _ := m.Get(mac1)
		if b.Outcome != Finished || len(b.Diagnoses) > 0 || b.Stage != StageDone {
			t.Errorf("it ends %s in stage %s with %+v", b.Outcome, b.Stage, b.Diagnoses)
		}
		for stage, want := range map[Stage]time.Duration{StageKernel: 21 * time.Second, StageStart: 2 * time.Minute, StageLookup: time.Minute, StageAgent: 5 * time.Minute} {
			if got := b.Took(stage); got != want {
				t.Errorf("stage %s took %v, want %v: %+v", stage, got, want, b.Stages)
			}
		}
		var kinds []NoticeKind
		for _, n := range told {
			kinds = append(kinds, n.Kind)
		}
		if len(kinds) != 2 || kinds[0] != NoticeStarted || kinds[1] != NoticeEnded {
			t.Errorf("told are %v, want the beginning and the end", kinds)
		}
	})
}
