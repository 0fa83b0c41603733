// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// past is what was so, from when on.
type past []struct {
	from time.Time
	what string
}

func (p *past) now(what string) {
	if n := len(*p); n == 0 || (*p)[n-1].what != what {
		*p = append(*p, past{{time.Now(), what}}...)
	}
}

// was reports whether something was so at some time from one on.
func (p past) was(what string, from time.Time) bool {
	for i, e := range p {
		if e.what == what && (i+1 == len(p) || !p[i+1].from.Before(from)) {
			return true
		}
	}
	return false
}

// day is a rack through a day, with what was true in it.
type day struct {
	*rack
	random *rand.Rand
	facts  map[string]*past // by UUID: the state and the kernel, or nothing
	owners map[string]*past // by address
	closed map[string]time.Time
	kernel int
	mended time.Time // when the line was
	served map[string]int
}

const dayNodes = 8

func dayMAC(n int) string { return fmt.Sprintf("52:54:00:17:01:%02x", n) }

// look writes down what is true now.
func (d *day) look() {
	facts, owners := make(map[string]string), make(map[string]string)
	for _, n := range d.api.Nodes() {
		facts[n.UUID] = n.ProvisionState + " " + n.DriverInfo["deploy_kernel"].(string)
		for _, p := range n.Ports {
			owners[p.Address] = n.UUID
		}
	}
	for uuid, p := range d.facts {
		p.now(facts[uuid])
	}
	for address, p := range d.owners {
		p.now(owners[address])
	}
}

func (d *day) some() string { return nodeUUID(1 + d.random.IntN(dayNodes)) }

func (d *day) driverInfo() map[string]any {
	d.kernel++
	return map[string]any{"deploy_kernel": fmt.Sprintf("http://images.test/%d", d.kernel), "deploy_ramdisk": "http://images.test/r"}
}

var dayStates = []string{"deploying", "wait call-back", "active", "active", "available", "clean wait", "rescue wait"}

// happen is one thing that happens.
func (d *day) happen(t *testing.T) {
	switch what := d.random.IntN(100); {
	case what < 12:
		d.api.SetProvisionState(d.some(), dayStates[d.random.IntN(len(dayStates))])
	case what < 17:
		d.api.Update(d.some(), func(n *ironictest.Node) { n.DriverInfo = d.driverInfo() })
	case what < 20:
		d.movePort()
	case what < 22:
		d.api.Remove(d.some())
	case what < 26:
		if uuid := d.some(); !slices.ContainsFunc(d.api.Nodes(), func(n ironictest.Node) bool { return n.UUID == uuid }) {
			d.api.SetNode(ironictest.Node{UUID: uuid, ProvisionState: "available", DriverInfo: d.driverInfo()})
		}
		d.movePort()
	case what < 34: // an agent reports, and Ironic makes something of it
		uuid := d.some()
		if d.line.cut.Load() {
			break
		}
		d.closed[uuid] = time.Now()
		d.h.site.forgetNode(uuid)
		if d.random.IntN(2) == 0 {
			later(time.Duration(d.random.IntN(3000)) * time.Millisecond)
			d.api.SetProvisionState(uuid, dayStates[d.random.IntN(len(dayStates))])
		}
	case what < 37:
		d.line.cut.Store(!d.line.cut.Load())
		d.mended = time.Now()
	case what < 39:
		if d.random.IntN(2) == 0 {
			d.stop(t)
		} else {
			d.kill(t)
		}
		later(time.Duration(d.random.IntN(300)) * time.Second)
		d.start(t)
	case what < 41:
		d.h.site.refreshNode(d.some())
	default:
		for range 1 + d.random.IntN(4) {
			d.boot(t)
		}
	}
	d.look()
}

// down reports whether Ironic is gone, or may be taken for gone: it is looked for it every half a minute at least.
func (d *day) down() bool { return d.line.cut.Load() || time.Since(d.mended) < 45*time.Second }

// movePort has an address change its node, or go, or come back.
func (d *day) movePort() {
	address := dayMAC(d.random.IntN(dayNodes))
	for _, n := range d.api.Nodes() {
		d.api.Update(n.UUID, func(n *ironictest.Node) {
			n.Ports = slices.DeleteFunc(n.Ports, func(p ironictest.Port) bool { return p.Address == address })
		})
	}
	d.api.Update(d.some(), func(n *ironictest.Node) { n.Ports = append(n.Ports, ironictest.Port{Address: address}) })
}

// boot asks for a node, and checks the answer against what was true.
func (d *day) boot(t *testing.T) {
	now, address, uuid := time.Now(), "", ""
	key := "uuid " + d.some()
	if uuid = key[5:]; d.random.IntN(3) > 0 {
		address, uuid = dayMAC(d.random.IntN(dayNodes)), ""
		key = "mac " + address
	}
	e, err := d.ask(t.Context(), key)
	var how string
	from := now
	switch {
	case errors.Is(err, ironic.ErrNoNode):
		how = "none"
		from = from.Add(-defaultNegativeTTL)
		if address != "" && !d.owners[address].was("", from) || uuid != "" && !d.facts[uuid].was("", from) {
			t.Errorf("%v: there is no %s, it is said", now, key)
		}
	case err == nil:
		how = "fresh"
		from = from.Add(-defaultNodeTTL)
	case e.Usable && d.down() && outage(err):
		how = "stale"
		from = from.Add(-24 * time.Hour)
		if state := e.Value.node.ProvisionState; state != ipxe.Active && state != ipxe.Available {
			from = from.Add(24*time.Hour - 15*time.Minute)
		}
		if !d.h.usable(e.Value, e.Age) {
			t.Errorf("%v: %s is usable at the age of %v", now, key, e.Age)
		}
	default:
		how = "refused"
		if !d.down() {
			t.Errorf("%v: %s: %v, while Ironic answers", now, key, err)
		}
	}
	d.served[how]++
	if how == "fresh" || how == "stale" {
		d.check(t, key, address, e.Value.node, from, how)
	}
}

// check wants facts to have been true since a time, and since the node's agent reported.
func (d *day) check(t *testing.T, key, address string, n *ipxe.Node, from time.Time, how string) {
	since := from
	if closed, ok := d.closed[n.UUID]; ok && closed.After(from) {
		since = closed
	}
	if what := string(n.ProvisionState) + " " + n.Deploy.Kernel; !d.facts[n.UUID].was(what, since) {
		t.Errorf("%v: %s, %s: %q was not true since %v (closed %v): %v", time.Now(), key, how, what, from, d.closed[n.UUID], *d.facts[n.UUID])
	}
	if address != "" && (!d.owners[address].was(n.UUID, from) || n.Port.Address != address) {
		t.Errorf("%v: %s, %s: not an address of %s since %v: %v", time.Now(), key, how, n.UUID, from, *d.owners[address])
	}
}

// TestDay goes through days in which everything happens: nodes change, addresses move, agents report, the line is cut, the
// edge restarts and is killed. What a machine gets was true within its window, and since its node's agent reported last.
func TestDay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "site.json")
			synctest.Test(t, func(t *testing.T) {
				d := &day{rack: newRack(t, sitePart{file: file, interval: 2 * time.Minute}), random: rand.New(rand.NewPCG(seed, 17)),
					facts: make(map[string]*past), owners: make(map[string]*past), closed: make(map[string]time.Time), served: make(map[string]int)}
				for n := range dayNodes {
					d.facts[nodeUUID(n+1)], d.owners[dayMAC(n)] = new(past), new(past)
					d.api.SetNode(ironictest.Node{UUID: nodeUUID(n + 1), ProvisionState: "available", DriverInfo: d.driverInfo(),
						Ports: []ironictest.Port{{Address: dayMAC(n)}}})
				}
				d.look()
				d.start(t)
				for end := time.Now().Add(24 * time.Hour); time.Now().Before(end) && !t.Failed(); {
					later(time.Duration(d.random.IntN(60_000)) * time.Millisecond)
					d.happen(t)
				}
				d.stop(t)
				t.Log(d.served)
				for _, how := range []string{"fresh", "stale", "none", "refused"} {
					if d.served[how] == 0 && !t.Failed() {
						t.Errorf("nothing was %s in a day; the test shows little", how)
					}
				}
			})
		})
	}
}
