// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestSiteFollowsIronic changes nodes, and wants it known without a machine's asking by when the interval promises it. What a look at
// what changed does not tell is known by the next reading of everything.
func TestSiteFollowsIronic(t *testing.T) {
	const quick, full = 11 * defaultInterval / 10, 12 * 12 * defaultInterval / 10
	for name, tt := range map[string]struct {
		change func(*rack)
		within time.Duration
		key    string
		state  ipxe.State // of the node that is found; empty: none is
		uuid   string
	}{
		"a state": {func(r *rack) { r.api.SetProvisionState(nodeUUID(1), "active") }, quick, demoMAC(1), ipxe.Active, nodeUUID(1)},
		// More than a look asks for first, so that the first to change is found by a second call.
		"the first of many states": {func(r *rack) { changeMany(r, 0) }, quick, fillerMAC(0), ipxe.Active, fillerUUID(0)},
		"the last of many states":  {func(r *rack) { changeMany(r, 0) }, quick, fillerMAC(fillers - 1), ipxe.Active, fillerUUID(fillers - 1)},
		"one state before many":    {func(r *rack) { changeMany(r, fillers-12) }, quick, fillerMAC(fillers - 12), ipxe.Active, fillerUUID(fillers - 12)},
		// What it boots is not in a list of nodes.
		"a state: a volume": {func(r *rack) { r.api.SetProvisionState(nodeUUID(9), "clean wait") }, quick, demoMAC(9), ipxe.CleanWait, nodeUUID(9)},
		"driver_info": {func(r *rack) {
			r.api.Update(nodeUUID(6), func(n *ironictest.Node) { n.DriverInfo = map[string]any{"deploy_kernel": "http://images.test/new"} })
		}, full, demoMAC(6), ipxe.Active, nodeUUID(6)},
		"an address that goes to another": {func(r *rack) {
			r.api.Update(nodeUUID(6), func(n *ironictest.Node) { n.Ports = nil })
			r.api.Update(nodeUUID(1), func(n *ironictest.Node) { n.Ports = append(n.Ports, ironictest.Port{Address: "52:54:00:17:00:06"}) })
		}, 2 * full, demoMAC(6), ipxe.Deploying, nodeUUID(1)}, // after the first, it has to be confirmed
		"an address that goes":  {func(r *rack) { r.api.Update(nodeUUID(6), func(n *ironictest.Node) { n.Ports = nil }) }, full, demoMAC(6), "", ""},
		"a node that goes":      {func(r *rack) { r.api.Remove(nodeUUID(6)) }, full, "uuid " + nodeUUID(6), "", ""},
		"a node that goes: MAC": {func(r *rack) { r.api.Remove(nodeUUID(6)) }, full, demoMAC(6), "", ""},
		"a node that comes": {func(r *rack) {
			r.api.SetNode(ironictest.Node{UUID: nodeUUID(20), ProvisionState: "active", Ports: []ironictest.Port{{Address: "52:54:00:17:00:20"}}})
		}, quick, demoMAC(0x20), ipxe.Active, nodeUUID(20)},
		"one that cannot be used any more": {func(r *rack) {
			r.api.Update(nodeUUID(6), func(n *ironictest.Node) {
				n.ProvisionState, n.DriverInfo = "deleting", map[string]any{"deploy_kernel": 5}
			})
		}, quick, demoMAC(6), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inRack(t, sitePart{}, func(t *testing.T, r *rack) {
				for n := range fillers {
					r.api.SetNode(ironictest.Node{UUID: fillerUUID(n), ProvisionState: "deploying", Ports: []ironictest.Port{{Address: fillerMAC(n)[4:]}}})
				}
				// What was asked for alone is no reason to believe it for longer.
				_, _ = r.ask(t.Context(), demoMAC(6))
				later(2 * quick) // they are found, and everything has been read since
				tt.change(r)
				later(tt.within)
				r.line.cut.Store(true)
				e, err := r.ask(t.Context(), tt.key)
				switch {
				case tt.state == "" && (e.Usable || err == nil):
					t.Errorf("it is served: %+v, %v", e.Value.node, err)
				case tt.state != "" && (e.Value == nil || e.Value.node.ProvisionState != tt.state || e.Value.node.UUID != tt.uuid || err != nil && !e.Usable):
					t.Errorf("%+v, %v; want %s in state %s", e, err, tt.uuid, tt.state)
				}
				if tt.state == "" && e.Value != nil && e.Value.node.ProvisionState == "" {
					t.Errorf("what cannot be used has taken its place: %+v", e.Value.node)
				}
				if name == "driver_info" && e.Value.node.Deploy.Kernel != "http://images.test/new" {
					t.Errorf("kernel %s", e.Value.node.Deploy.Kernel)
				}
			})
		})
	}
}

// fillers are nodes beside the demo fleet: more than a look at what changed asks for first.
const fillers = 40

func fillerUUID(n int) string { return nodeUUID(1000 + n) }
func fillerMAC(n int) string  { return fmt.Sprintf("mac 52:54:00:18:00:%02x", n) }

// changeMany has the fillers change their states from one on.
func changeMany(r *rack, from int) {
	for n := from; n < fillers; n++ {
		r.api.SetProvisionState(fillerUUID(n), "active")
	}
}

// TestSiteForgetsWhatChanged has a node change that boots from a volume, of which a look at what changed does not tell what it boots
// now. When all cannot be read then, what it booted before is of no use.
func TestSiteForgetsWhatChanged(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		usable := func(want bool) {
			t.Helper()
			later(2 * defaultNodeTTL)
			if e, err := r.ask(t.Context(), demoMAC(9)); err == nil || e.Usable != want {
				t.Errorf("%+v, %v; want it usable: %v", e, err, want)
			}
		}
		later(time.Second)
		r.api.SetProvisionState(nodeUUID(9), "available") // which has nothing to boot
		later(2 * defaultInterval)
		r.line.cut.Store(true)
		usable(true)
		r.line.cut.Store(false)
		later(3 * defaultInterval)

		r.api.SetProvisionState(nodeUUID(9), "deploying")
		r.line.delay.Store(int64(50 * time.Millisecond))
		for before := r.line.calls.Load(); r.line.calls.Load() < before+2; { // the look, and the reading's first call
			later(10 * time.Millisecond)
		}
		r.line.cut.Store(true)
		usable(false)
	})
}
