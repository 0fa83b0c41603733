// SPDX-License-Identifier: Apache-2.0

package seen

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

const (
	uuid = "6d4c7e01-1700-4000-8000-000000000001"
	mac  = "52:54:00:17:00:01"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("2001:db8::1")
	limit = Limit{Boots: 3, Within: 30 * time.Minute, Apart: 10 * time.Second}
)

func since() time.Time { return time.Now().Add(-30 * time.Minute) }

func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(10)
		l.Script(Fetch{UUID: uuid, MAC: mac, From: here}, Limit{})
		for _, name := range []string{uuid, mac} {
			if got := l.Find(name, here, since()); got != (Sight{UUID: uuid, Known: true, Here: true}) {
				t.Errorf("Find(%s) = %+v", name, got)
			}
			if got := l.Find(name, there, since()); got != (Sight{UUID: uuid, Known: true, Other: here}) {
				t.Errorf("Find(%s) from elsewhere = %+v", name, got)
			}
		}
		if got := l.Find("52:54:00:17:00:02", here, since()); got != (Sight{}) {
			t.Errorf("Find of nobody = %+v", got)
		}
		time.Sleep(31 * time.Minute)
		if got := l.Find(mac, here, since()); got.Known || got.Here {
			t.Errorf("after the time: %+v", got)
		}
		l.Renew(uuid, here, since())
		if got := l.Find(mac, here, since()); got.Here {
			t.Error("a time that is over is renewed")
		}
		l.Heard(uuid, there)
		if got := l.Find(mac, there, since()); !got.Here {
			t.Error("an agent that Ironic heard is not seen")
		}
		time.Sleep(20 * time.Minute)
		l.Renew(uuid, there, since())
		l.Renew(uuid, here, since())
		time.Sleep(20 * time.Minute)
		if got := l.Find(mac, there, since()); got != (Sight{UUID: uuid, Known: true, Here: true}) {
			t.Errorf("renewed: %+v", got)
		}
	})
}

// TestNames moves MACs between machines.
func TestNames(t *testing.T) {
	t.Parallel()
	const other = "6d4c7e01-1700-4000-8000-000000000002"
	l := New(10)
	l.Script(Fetch{MAC: mac, From: here}, Limit{})
	if got := l.Find(mac, here, since()); got != (Sight{Known: true, Here: true}) {
		t.Errorf("a machine without a node: %+v", got)
	}
	l.Script(Fetch{UUID: uuid, MAC: mac, From: there}, Limit{})
	if got := l.Find(mac, here, since()); got != (Sight{UUID: uuid, Known: true, Other: there}) {
		t.Errorf("once it has a node: %+v", got)
	}
	l.Script(Fetch{UUID: other, MAC: mac, From: here}, Limit{})
	if got := l.Find(mac, here, since()); got.UUID != other {
		t.Errorf("in another node: %+v", got)
	}
	l.Script(Fetch{MAC: mac, From: there}, Limit{})
	if got := l.Find(mac, there, since()); got != (Sight{Known: true, Here: true}) || l.nodes != 3 {
		t.Errorf("its node is gone: %+v, %d nodes", got, l.nodes)
	}
}

// TestBounds floods a log.
func TestBounds(t *testing.T) {
	t.Parallel()
	l := New(10)
	for i := range 1000 {
		f := Fetch{UUID: fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i), MAC: fmt.Sprintf("52:54:00:17:%02x:%02x", i>>8, i&255), From: here}
		if i%3 == 0 {
			f.UUID = ""
		}
		l.Script(f, limit)
	}
	linked := 0
	for n := l.oldest; n != nil; n = n.newer {
		linked++
	}
	if l.nodes != 10 || len(l.names) > 20 || linked != 10 {
		t.Errorf("%d nodes, %d names, %d in the list; want 10 nodes", l.nodes, len(l.names), linked)
	}
	if got := l.Find("52:54:00:17:03:e7", here, since()); !got.Here {
		t.Error("the newest was forgotten")
	}
	for i := range 1000 {
		l.Script(Fetch{UUID: uuid, MAC: fmt.Sprintf("52:54:00:18:%02x:%02x", i>>8, i&255),
			From: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}, limit)
	}
	if n := l.names[uuid]; len(n.names) != maxNames || len(n.clients) != maxClients || n.names[0] != uuid || len(l.names) > 20+maxNames {
		t.Errorf("one node has %d names and %d addresses, all have %d names", len(n.names), len(n.clients), len(l.names))
	}
}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(10)
		f := Fetch{UUID: uuid, MAC: mac, State: "wait call-back", From: here}
		boot := func(want Loop, limit Limit) {
			t.Helper()
			for i := range 4 { // requests of one boot
				if got := l.Script(f, limit); got != want {
					t.Errorf("request %d: %+v, want %+v", i, got, want)
				}
				want.Begins = false
				time.Sleep(2 * time.Second)
			}
			time.Sleep(time.Minute)
		}
		boot(Loop{Boots: 1}, limit)
		boot(Loop{Boots: 2}, limit)
		l.Heard(uuid, here)
		boot(Loop{Boots: 1}, limit)
		boot(Loop{Boots: 2}, limit)
		f.State = "clean wait"
		boot(Loop{Boots: 1}, limit)
		boot(Loop{Boots: 2}, limit)
		boot(Loop{Boots: 3, Loops: true, Begins: true}, limit)
		boot(Loop{Boots: 4, Loops: true}, limit)
		time.Sleep(limit.Within)
		boot(Loop{Boots: 1}, limit)

		held := limit
		held.Hold = true
		boot(Loop{Boots: 2}, held)
		boot(Loop{Boots: 3, Loops: true, Begins: true}, held)
		for range 25 { // it asks for as long as it is held, which is no boot
			boot(Loop{Boots: 3, Loops: true}, held)
		}
		time.Sleep(3 * time.Minute)
		boot(Loop{Boots: 1}, held)
	})
}

// TestSlowBootsAreNoLoop boots a node less often than the limit says.
func TestSlowBootsAreNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(10)
		for i := range 10 {
			if got := l.Script(Fetch{UUID: uuid, From: here}, limit); got.Loops {
				t.Fatalf("boot %d loops: %+v", i, got)
			}
			time.Sleep(16 * time.Minute)
		}
	})
}

func TestScriptAllocatesNothing(t *testing.T) {
	l := New(10)
	f := Fetch{UUID: uuid, MAC: mac, State: "wait call-back", From: here}
	l.Script(f, limit)
	if n := testing.AllocsPerRun(100, func() { l.Script(f, limit) }); n != 0 {
		t.Errorf("%v allocations for a node that was seen before", n)
	}
}
