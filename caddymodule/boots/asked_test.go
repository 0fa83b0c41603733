// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// other has a boot of another machine begin, for which an older one may have to go.
func (m machine) other(n int) {
	m.Script(&Script{MAC: fmt.Sprintf("52:54:00:18:%02x:%02x", n/256, n%256), Node: fmt.Sprintf("6d4c7e01-1800-4000-8000-%012d", n), State: "active", Kind: kindDisk})
}

// TestForgottenBootIsNotSilent has the boot of a machine go for its number while Ironic waits for the node: the machine has
// asked all the same.
func TestForgottenBootIsNotSilent(t *testing.T) {
	for name, c := range map[string]struct {
		does func(t *testing.T, m machine) machine
		want int
	}{
		"its boot has to go":   {func(_ *testing.T, m machine) machine { m.other(1); return m }, 0},
		"the limit is lowered": {func(_ *testing.T, m machine) machine { m.SetLimit(5); m.other(1); m.SetLimit(1); return m }, 0},
		"it never asked": {func(t *testing.T, _ machine) machine {
			m := machine{New(1)}
			m.run(t, new([]Notice))
			m.other(1)
			return m
		}, 1},
		"it asked before it had to": {func(_ *testing.T, m machine) machine { m.other(1); time.Sleep(time.Hour); m.other(2); return m }, 1},
		"its ramdisk goes on": {func(_ *testing.T, m machine) machine {
			m.other(1)
			time.Sleep(time.Hour)
			m.Image(node1, client1, "deploy_ramdisk", new(atomic.Int64))
			return m
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := machine{New(1)}
				m.run(t, new([]Notice))
				m.script("deploy", waited, "state")
				m = c.does(t, m)
				m.Inventory(slices.Values([]Node{{UUID: node1, State: waited, Since: time.Now()}}))
				time.Sleep(askWithin + time.Minute)
				if n := len(m.Silent()); n != c.want {
					t.Errorf("%d nodes are silent, want %d", n, c.want)
				}
			})
		})
	}
}

// TestForgottenBootAfterARestart is the same with a restart between, whether or not the journal was written anew.
func TestForgottenBootAfterARestart(t *testing.T) {
	for name, restarts := range map[string]int{"one restart": 1, "several, each of which writes the journal anew": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "boots")
				m, stop := journaled(t, 2, path, nil)
				m.other(0) // from before all that follows
				since := time.Now()
				m.script("deploy", waited, "state")
				m.other(1)
				m.other(2) // within seconds: the journal has never had the boot
				asked := m.Asked(node1)
				for range restarts {
					time.Sleep(sampleEvery)
					stop()
					m, stop = journaled(t, 2, path, nil)
				}
				defer stop()
				m.Inventory(slices.Values([]Node{{UUID: node1, State: waited, Since: since}}))
				time.Sleep(askWithin + time.Minute)
				if silent := m.Silent(); len(silent) != 0 {
					t.Errorf("silent is %+v", silent)
				}
				if got := m.Asked(node1); asked.IsZero() || !got.Equal(asked) {
					t.Errorf("it asked at %v, want %v", got, asked)
				}
			})
		})
	}
}

// TestSignsAreBounded has more nodes come than are remembered: those seen last stay.
func TestSignsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(1)}
		const all = 2*maxAsked + 10
		for n := range all {
			m.other(n)
			time.Sleep(time.Millisecond)
		}
		if n := len(m.signs.at); n > maxAsked || n < maxAsked/2 || len(m.signs.fresh) > n {
			t.Errorf("%d nodes are remembered, %d are for the journal", n, len(m.signs.fresh))
		}
		if m.Asked(fmt.Sprintf("6d4c7e01-1800-4000-8000-%012d", all-2)).IsZero() || !m.Asked(fmt.Sprintf("6d4c7e01-1800-4000-8000-%012d", 0)).IsZero() {
			t.Error("it is not those that were seen last")
		}
		m.Image("6d4c7e01-1900-4000-8000-000000000001", client1, "deploy_kernel", new(atomic.Int64))
		if !m.Asked("6d4c7e01-1900-4000-8000-000000000001").IsZero() {
			t.Error("a made-up UUID is remembered")
		}
	})
}
