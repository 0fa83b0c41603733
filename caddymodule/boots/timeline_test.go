// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhenABootBegins says which requests for a script are of one boot.
func TestWhenABootBegins(t *testing.T) {
	ask := func(m machine) { m.script("deploy", waited, "state") }
	cases := map[string]struct {
		does     func(m machine)
		outcomes []Outcome // newest first
	}{
		"another attempt": {func(m machine) { ask(m); time.Sleep(20 * time.Second); ask(m) }, []Outcome{Running}},
		"another NIC": {func(m machine) {
			ask(m)
			m.Script(&Script{MAC: mac2, Node: node1, State: waited, Client: client1, Kind: "deploy", Reason: "state"})
		}, []Outcome{Running}},
		"the first NIC is refused": {func(m machine) {
			m.Script(&Script{MAC: mac2, Node: node1, State: waited, Client: client1, Reason: "port_disabled"})
			time.Sleep(5 * time.Second)
			ask(m)
		}, []Outcome{Running}},
		"minutes later":            {func(m machine) { ask(m); time.Sleep(again + time.Second); ask(m) }, []Outcome{Running, Superseded}},
		"after the kernel":         {func(m machine) { ask(m); m.images(); ask(m) }, []Outcome{Running, Superseded}},
		"after the agent's lookup": {func(m machine) { ask(m); m.call(EventLookup, 200, ""); ask(m) }, []Outcome{Running, Superseded}},
		"into its disk, deployed": {func(m machine) {
			ask(m)
			m.images()
			m.call(EventLookup, 200, "")
			m.call(EventHeartbeat, 202, "")
			m.script("boot_whole_disk", "deploying", "state")
		}, []Outcome{Finished, Finished}},
		"its disk, twice at once": {func(m machine) {
			m.script("boot_whole_disk", "active", "state")
			m.script("boot_whole_disk", "active", "state")
		}, []Outcome{Finished}},
		"its disk, and later again": {func(m machine) {
			m.script("boot_whole_disk", "active", "state")
			time.Sleep(time.Minute)
			m.script("boot_whole_disk", "active", "state")
		}, []Outcome{Finished, Finished}},
		"nothing to boot": {func(m machine) { m.script("", "available", "state"); time.Sleep(time.Minute) }, []Outcome{Refused}},
		"a ramdisk instance": {func(m machine) {
			m.script("boot_ramdisk", "active", "state")
			m.fetch("kernel", "", "10", 10, true)
			m.fetch("ramdisk", "", "10", 10, true)
		}, []Outcome{Finished}},
		"an ISO instance": {func(m machine) {
			m.script("boot_ramdisk", "active", "state")
			m.fetch("boot_iso", "0-99", "1000", 100, true)
			time.Sleep(bootsISO + time.Minute)
		}, []Outcome{Finished}},
		"given up":                    {func(m machine) { ask(m); m.images(); time.Sleep(giveUp + time.Minute) }, []Outcome{Stuck}},
		"a script of the conductor's": {func(m machine) { m.script(KindConductor, "active", "state"); time.Sleep(giveUp + time.Minute) }, []Outcome{Finished}},
		"an inspection": {func(m machine) {
			m.script("deploy", "inspect wait", "state")
			m.images()
			m.call(EventLookup, 200, "")
			m.State(node1, "manageable")
		}, []Outcome{Finished}},
		"an agent from virtual media":                {func(m machine) { m.call(EventHeartbeat, 202, "") }, []Outcome{Running}},
		"a heartbeat that Ironic refuses, of nobody": {func(m machine) { m.call(EventHeartbeat, 404, "") }, nil},
		"a rescue's agent goes on": {func(m machine) {
			m.script("deploy", "rescue wait", "state")
			m.call(EventHeartbeat, 202, "")
			m.State(node1, "rescue")
			time.Sleep(time.Hour)
			m.call(EventHeartbeat, 202, "")
		}, []Outcome{Finished}},
		"Ironic was down": {func(m machine) {
			m.Script(&Script{MAC: mac1, Client: client1, Reason: "ironic_unavailable"})
			time.Sleep(5 * time.Second)
			ask(m)
		}, []Outcome{Running}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := machine{New(10)}
				var told []Notice
				m.run(t, &told)
				c.does(m)
				synctest.Wait()
				var got []Outcome
				for _, b := range m.List(Filter{}) {
					got = append(got, b.Outcome)
				}
				if !slices.Equal(got, c.outcomes) {
					t.Errorf("the boots are %v, want %v", got, c.outcomes)
				}
				ended := 0
				for _, n := range told {
					if n.Kind == NoticeEnded {
						ended++
					}
				}
				over := 0
				for _, o := range c.outcomes {
					if o != Running {
						over++
					}
				}
				if ended != over {
					t.Errorf("%d ends are told, want %d", ended, over)
				}
			})
		})
	}
}

// TestWaitForIronicBelongsToTheBoot has a machine that was told to come back before Ironic said whose it is.
func TestWaitForIronicBelongsToTheBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(10)}
		first := time.Now()
		for range 3 {
			m.Script(&Script{MAC: mac1, Client: client1, Reason: "ironic_unavailable"})
			time.Sleep(5 * time.Second)
		}
		if strays := m.Strays(); len(strays) != 1 || strays[0].Count != 3 || strays[0].Diagnosis.Code != "script_waits" {
			t.Errorf("waiting are %+v", strays)
		}
		m.script("deploy", waited, "state")
		b, _ := m.Get(node1)
		if !b.Started.Equal(first) || b.Took(StageScript) != 15*time.Second || b.Events[0].Count != 3 || len(m.Strays()) != 0 {
			t.Errorf("it began at %v, want %v: %+v", b.Started, first, b)
		}
	})
}

// TestJoins lets an agent's lookup be told by one thing only.
func TestJoins(t *testing.T) {
	for name, c := range map[string]Call{
		"request id": {RequestID: req1},
		"MAC":        {MACs: []string{mac3, mac1}},
		"node":       {Node: strings.ToUpper(node1)},
		"client":     {Client: client1},
	} {
		t.Run(name, func(t *testing.T) {
			m := machine{New(10)}
			m.script("deploy", waited, "state")
			c.Kind, c.Status = EventLookup, 200
			m.Agent(&c)
			if b, _ := m.Get(node1); b.Lookup.Taken != 1 || b.Stage != StageLookup {
				t.Errorf("%+v", b)
			}
		})
	}
}

// TestOthersCallsDoNotCount has somebody else call for a node, and be refused.
func TestOthersCallsDoNotCount(t *testing.T) {
	m := machine{New(10)}
	m.script("deploy", waited, "state")
	m.Agent(&Call{Kind: EventHeartbeat, Node: node1, Client: client2, Status: 400})
	m.Agent(&Call{Kind: EventLookup, MACs: []string{mac1}, Client: client2, Status: 403, Reason: "guard"})
	if b, _ := m.Get(node1); b.Heartbeat.Refused+b.Lookup.Refused != 0 || len(b.Events) != 1 {
		t.Errorf("%+v", b)
	}
}

// TestProgress has an image go out in pieces, by whole transfers and by ranges.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(10)}
		var told []Notice
		m.run(t, &told)
		m.script("deploy", waited, "state")
		image := func() Image { t.Helper(); b, _ := m.Get(node1); return b.Images[0] }
		counter := new(atomic.Int64)
		x := m.Image(node1, client1, "deploy_kernel", counter)
		x.Begin(200, "1000", "")
		time.Sleep(time.Second) // apart from when it is looked
		for range 8 {
			counter.Add(50)
			time.Sleep(sampleEvery)
		}
		if i := image(); i.Percent != 40 || i.Rate != 10 || i.ETA != 61 || i.Active != 1 || i.Stalled {
			t.Errorf("under way: %+v", i)
		}
		x.End(false)
		if i := image(); i.Breaks != 1 || i.Covered != 400 || i.Active != 0 {
			t.Errorf("broken off: %+v", i)
		}
		m.fetch("deploy_kernel", "400-999", "1000", 600, true) // UEFI goes on where it was
		if i := image(); !i.Done || i.Percent != 100 || i.Sent != 1000 || i.Attempts != 1 || i.Requests != 2 {
			t.Errorf("gone on: %+v", i)
		}
		m.fetch("deploy_kernel", "", "1000", 300, false).End(false) // iPXE throws away what it had
		if i := image(); i.Done || i.Percent != 30 || i.Sent != 1300 || i.Attempts != 2 {
			t.Errorf("begun anew: %+v", i)
		}
		x = m.fetch("deploy_kernel", "", "1000", 300, false)
		time.Sleep(time.Minute)
		if i := image(); i.Stalls != 1 || !i.Stalled || i.ETA != 0 {
			t.Errorf("stalled: %+v", i)
		}
		x.counter.Add(700)
		time.Sleep(sampleEvery)
		if i := image(); i.Stalled || i.Percent != 100 || i.Done {
			t.Errorf("moving again: %+v", i)
		}
		x.End(true)
		if i := image(); !i.Done {
			t.Errorf("arrived: %+v", i)
		}
	})
}

// TestNilTransfer is about images of nobody's boot.
func TestNilTransfer(t *testing.T) {
	x := New(1).Image(node1, client1, "deploy_kernel", new(atomic.Int64))
	if x != nil {
		t.Errorf("%+v", x)
	}
	x.Begin(200, "1", "")
	x.End(true)
}

// TestSpans adds parts in all orders and counts bytes as a plain table does.
func TestSpans(t *testing.T) {
	seed := uint32(1)
	next := func(n uint32) int64 { seed = seed*1664525 + 1013904223; return int64(seed >> 8 % n) }
	for range 500 {
		var s spans
		var table [200]bool
		for range 20 {
			first := next(180)
			end := first + next(20)
			with := s.with(first, end)
			s.add(first, end)
			for i := first; i < end; i++ {
				table[i] = true
			}
			want := int64(0)
			for _, there := range table {
				if there {
					want++
				}
			}
			if got := s.covered(); got != want || with != want {
				t.Fatalf("covered is %d, and was foretold as %d, want %d: %+v", got, with, want, s.all)
			}
		}
	}
	var s spans
	for i := range int64(3 * maxSpans) {
		s.add(i*10, i*10+1+i%3)
	}
	if len(s.all) > maxSpans {
		t.Errorf("%d parts are kept, want at most %d", len(s.all), maxSpans)
	}
}

// TestBounds lets many machines, and one for long, do much.
func TestBounds(t *testing.T) {
	const limit = 20
	m := machine{New(limit)}
	for i := range 3 * limit {
		node := fmt.Sprintf("node-%d", i)
		m.Script(&Script{MAC: fmt.Sprintf("mac-%d", i), Node: node, State: waited, Client: netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), Kind: "deploy", RequestID: "req-" + node})
	}
	for i := range 2 * maxStrays {
		m.Script(&Script{MAC: fmt.Sprintf("stray-%d", i), Reason: ReasonNoNode})
		if i == maxStrays {
			m.Script(&Script{MAC: "stray-1", Reason: ReasonNoNode})
		}
	}
	if n := len(m.List(Filter{})); n != limit {
		t.Errorf("%d boots are kept, want %d", n, limit)
	}
	for name, n := range map[string]int{"nodes": len(m.byNode), "MACs": len(m.byMAC), "clients": len(m.byClient), "ids": len(m.byID) / 2} {
		if n != limit {
			t.Errorf("%d %s lead to boots, want %d", n, name, limit)
		}
	}
	if n := len(m.Strays()); n != maxStrays {
		t.Errorf("%d strays are kept, want %d", n, maxStrays)
	}
	for name, want := range map[string]bool{"stray-1": true, "stray-256": false, "stray-257": true, "stray-511": true} {
		if kept := slices.ContainsFunc(m.Strays(), func(s Stray) bool { return s.MAC == name }); kept != want {
			t.Errorf("%s is kept: %v", name, kept)
		}
	}
	last := "node-59"
	for i := range 300 {
		m.Image(last, client1, fmt.Sprintf("label-%d", i), new(atomic.Int64)).End(false)
		m.ImageRefused(last, client1, "deploy_kernel", fmt.Sprintf("code-%d", i))
		m.Agent(&Call{Kind: EventHeartbeat, Node: last, MACs: []string{fmt.Sprintf("nic-%d", i)}, Client: netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}), Status: 200 + i%3})
	}
	b, _ := m.Get(last)
	if len(b.Events) != maxEvents || b.Dropped == 0 || len(b.Images) != maxImages || len(b.MACs) != MaxMACs || len(b.Clients) != maxClients || b.Events[0].Kind != EventScript {
		t.Errorf("%d events, %d images, %d MACs, %d clients; the first event is %s", len(b.Events), len(b.Images), len(b.MACs), len(b.Clients), b.Events[0].Kind)
	}
	if n := len(m.byMAC); n > limit+MaxMACs {
		t.Errorf("%d MACs lead to boots", n)
	}
	m.SetLimit(1)
	if n := len(m.List(Filter{})); n != 1 || len(m.byMAC) > MaxMACs || len(m.byClient) > maxClients {
		t.Errorf("%d boots are kept, want 1; %d MACs, %d clients", n, len(m.byMAC), len(m.byClient))
	}
}

// TestUnknownMACsAreToldSparingly has a rack full of machines that nobody enrolled.
func TestUnknownMACsAreToldSparingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(10)}
		var told []Notice
		m.run(t, &told)
		for range 3 {
			m.Script(&Script{MAC: mac1, Reason: ReasonNoNode})
			m.Script(&Script{MAC: mac2, Reason: "ironic_unavailable"})
			time.Sleep(time.Minute)
		}
		if len(told) != 1 || told[0].Kind != NoticeUnknownMAC || told[0].Stray.MAC != mac1 || told[0].Stray.Diagnosis.Code != CodeUnknownMAC {
			t.Errorf("told is %+v, want the one machine once", told)
		}
		told = nil
		for i := range 100 {
			m.Script(&Script{MAC: fmt.Sprint("stray-", i), Reason: ReasonNoNode})
		}
		if synctest.Wait(); len(told) != strayBurst {
			t.Errorf("%d of 100 are told, want %d", len(told), strayBurst)
		}
		m.script("deploy", waited, "state") // it was enrolled
		if strays := m.List(Filter{MAC: mac1}); len(strays) != 1 || slices.ContainsFunc(m.Strays(), func(s Stray) bool { return s.MAC == mac1 }) {
			t.Errorf("an enrolled machine is still a stray")
		}
		m.Script(&Script{MAC: mac1, Reason: ReasonAbsent}) // and it was taken away again, when Ironic last told
		if !slices.ContainsFunc(m.Strays(), func(s Stray) bool { return s.MAC == mac1 }) {
			t.Errorf("a machine that has no node any more is no stray")
		}
	})
}

// TestNeverAsked is about nodes for which Ironic waits.
func TestNeverAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(10)}
		var told []Notice
		m.run(t, &told)
		since := time.Now()
		inventory := func(state1, state2 string) {
			m.Inventory(slices.Values([]Node{{node1, "node-1", state1, since}, {node2, "node-2", state2, since}, {"other", "", "active", since}}))
		}
		inventory(waited, "clean wait")
		time.Sleep(time.Minute)
		m.script("deploy", waited, "state")
		time.Sleep(askWithin - 2*time.Minute)
		if silent := m.Silent(); len(silent) != 0 {
			t.Errorf("too early: %+v", silent)
		}
		time.Sleep(2 * time.Minute)
		inventory(waited, "clean wait")
		time.Sleep(time.Minute)
		silent := m.Silent()
		if len(silent) != 1 || silent[0].Node != node2 || silent[0].Diagnosis.Code != CodeNeverAsked {
			t.Errorf("silent are %+v, want the second node", silent)
		}
		n := 0
		for _, notice := range told {
			if notice.Kind == NoticeSilent {
				n++
			}
		}
		if n != 1 {
			t.Errorf("it is told %d times, want once", n)
		}
		inventory("active", "available")
		if silent := m.Silent(); len(silent) != 0 {
			t.Errorf("Ironic waits for nobody: %+v", silent)
		}
		if b, _ := m.Get(node1); b.State != "active" || b.Outcome != Finished {
			t.Errorf("the inventory's state is not taken: %s, %s", b.State, b.Outcome)
		}
	})
}

func TestListAndGet(t *testing.T) {
	m := machine{New(10)}
	m.script("deploy", waited, "state")
	m.images()
	m.script("deploy", waited, "state")
	m.Script(&Script{MAC: mac2, Node: node2, State: "active", Client: client2, Kind: "boot_whole_disk"})
	for name, c := range map[string]struct {
		filter Filter
		want   int
	}{
		"all": {Filter{}, 3}, "node": {Filter{Node: strings.ToUpper(node1)}, 2}, "mac": {Filter{MAC: "52-54-00-17-00-02"}, 1},
		"client": {Filter{Client: client1}, 2}, "latest": {Filter{Latest: true}, 2}, "outcome": {Filter{Outcomes: []Outcome{Superseded}}, 1}, "limit": {Filter{Limit: 2}, 2},
	} {
		if got := m.List(c.filter); len(got) != c.want {
			t.Errorf("%s: %d boots, want %d", name, len(got), c.want)
		}
	}
	latest := m.List(Filter{Node: node1})[0]
	for _, key := range []string{latest.ID, node1, strings.ToUpper(node1), mac1, "52-54-00-17-00-01", "10.0.0.1", req1} {
		if b, ok := m.Get(key); !ok || b.ID != latest.ID {
			t.Errorf("%s leads to boot %q, want %q", key, b.ID, latest.ID)
		}
	}
	if _, ok := m.Get("nobody"); ok {
		t.Error("there is a boot of nobody")
	}
	latest.MACs[0], latest.Events[0].Text = "changed", "changed"
	if b, _ := m.Get(node1); b.MACs[0] != mac1 || b.Events[0].Text == "changed" {
		t.Error("what was listed is not a copy")
	}
}

func TestChanged(t *testing.T) {
	m := machine{New(10)}
	changed, version := m.Changed(), m.Version()
	select {
	case <-changed:
		t.Error("nothing has changed yet")
	default:
	}
	m.script("deploy", waited, "state")
	<-changed
	if m.Version() == version {
		t.Error("the version is the same")
	}
}

func TestFirmwareIsPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"iPXE/1.21.1+": "iPXE/1.21.1+", "iPXE/\x1b[2J\n": "iPXE/?[2J?", strings.Repeat("i", 99): strings.Repeat("i", 64), "iPXE/ü": "iPXE/?",
	} {
		if got := plainText(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// BenchmarkScript is what a request for a script costs: of a machine that asks again, from many at once.
func BenchmarkScript(b *testing.B) {
	t := New(DefaultLimit)
	asks := make([]Script, 1000)
	for i := range asks {
		asks[i] = Script{MAC: fmt.Sprintf("52:54:00:17:%02x:%02x", i/256, i%256), Node: fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i), Name: "node", State: waited,
			Client: netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)}), Firmware: "iPXE/1.21.1+", Kind: "deploy", Reason: "state", Cache: "hit", RequestID: fmt.Sprintf("req-%d", i)}
	}
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t.Script(&asks[n.Add(1)%1000])
		}
	})
}

// BenchmarkNewBoot is what a boot costs that was not there.
func BenchmarkNewBoot(b *testing.B) {
	t := New(DefaultLimit)
	b.ReportAllocs()
	for b.Loop() {
		t.Script(&Script{MAC: mac1, Node: node1, State: waited, Client: client1, Firmware: "iPXE/1.21.1+", Kind: "deploy", Reason: "state", RequestID: req1})
		t.Image(node1, client1, "deploy_kernel", new(atomic.Int64)).End(true)
		t.mu.Lock()
		t.untold = t.untold[:0]
		t.mu.Unlock()
	}
}

// BenchmarkList is what it costs to look at all boots, by which the others are held up for no longer than for one.
func BenchmarkList(b *testing.B) {
	t := New(DefaultLimit)
	for i := range DefaultLimit {
		t.Script(&Script{MAC: fmt.Sprint(i), Node: fmt.Sprint(i), State: waited, Client: client1, Kind: "deploy"})
	}
	b.ReportAllocs()
	for b.Loop() {
		t.List(Filter{})
	}
}
