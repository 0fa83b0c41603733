// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestStale asks for scripts whose facts are older than node_ttl while Ironic does not answer, of each kind of node.
func TestStale(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]trouble{
		"gone": refused, "500": answering(500, "oops"), "401": answering(401, "no"), "garbage": answering(200, "<html>"), "slow": blackHole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				for n := 1; n <= 13; n++ {
					b.script(t, n)
				}
				iso := uuidKey(nodeUUID(8))
				if _, err := b.handler.node(t.Context(), iso, &b.handler.imageTerms); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				b.suffer(trouble)
				for n, want := range map[int]string{
					1: "deploy_kernel", 5: "rescue_kernel", // the agent
					6: "sanboot --no-describe", // the local disk
				} {
					got := b.script(t, n)
					if got.status != 200 || !strings.Contains(got.body, want) || !strings.Contains(got.body, "this is what it said ") ||
						got.header.Get(reasonHeader) != reasonStale || !strings.Contains(got.header.Get("Cache-Status"), "fwd=stale") {
						t.Errorf("node %d: %d %s %s\n%s", n, got.status, got.header.Get(reasonHeader), got.header.Get("Cache-Status"), got.body)
					}
				}
				if got := b.script(t, 11); got.status != 404 { // nothing to boot
					t.Errorf("node 11: %d, want 404", got.status)
				}
				for _, n := range []int{7, 8, 9, 10, 13} { // ramdisk, ISO, volume, installer, unknown state
					if got := b.script(t, n); got.status == 200 && !strings.Contains(got.body, "cannot be used") {
						t.Errorf("node %d: %d\n%s", n, got.status, got.body)
					}
				}
				entry, err := b.handler.node(t.Context(), iso, &b.handler.imageTerms)
				if !entry.Usable || !outage(err) { // a sanboot goes on
					t.Errorf("an image: usable %v, %v", entry.Usable, err)
				}
				if got := b.ask(t, "/"+nodeUUID(1)+"/config", ""); got.status == 200 && strings.Contains(got.body, "deploy_kernel") {
					t.Error("a node that was never asked for by UUID has a script")
				}
				b.heal()
				pass(longestPause * 5 / 4)
				if got := b.script(t, 1); got.status != 200 || strings.Contains(got.body, "this is what it said") {
					t.Errorf("afterwards: %d\n%s", got.status, got.body)
				}
			})
		})
	}
}

// TestSignalClosesWindow is about a node whose agent has reported since its facts were got: its state has changed, or is
// about to.
func TestSignalClosesWindow(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.NodeTTL = caddy.Duration(time.Nanosecond) })
	e.get(t, "/pxelinux.cfg/"+nodeMAC(2))
	e.ask(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), "Content-Type", "application/json")
	e.api.Inject(ironictest.Fault{Drop: true})
	if got := e.get(t, "/pxelinux.cfg/"+nodeMAC(2)); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503\n%s", got.status, got.body)
	}
}

// TestWindows is the table of what may be used for how long, by state and age.
func TestWindows(t *testing.T) {
	t.Parallel()
	h := &Handler{windows: defaultWindows}
	h.options.Deploy = map[string]ipxe.Images{"": {Kernel: "http://a/k", Ramdisk: "http://a/r"}}
	node := func(state ipxe.State, deploy string) *ipxe.Node {
		return &ipxe.Node{UUID: nodeUUID(1), ProvisionState: state, BootInterface: "ipxe", DeployInterface: deploy, WholeDiskImage: true,
			Instance: ipxe.Images{Kernel: "http://a/k", Ramdisk: "http://a/r"}}
	}
	const never = -1
	for name, tt := range map[string]struct {
		node   *ipxe.Node
		window time.Duration
	}{
		"active, local disk": {node(ipxe.Active, "direct"), 24 * time.Hour},
		"available":          {node(ipxe.Available, "direct"), 24 * time.Hour},
		"deploying":          {node(ipxe.Deploying, "direct"), 15 * time.Minute},
		"wait call-back":     {node(ipxe.DeployWait, "direct"), 15 * time.Minute},
		"clean wait":         {node(ipxe.CleanWait, "direct"), 15 * time.Minute},
		"active, ramdisk":    {node(ipxe.Active, "ramdisk"), never},
		"unknown":            {node("defragmenting", "direct"), never},
	} {
		known := &knownNode{node: tt.node}
		for age, want := range map[time.Duration]bool{
			time.Second:             tt.window != never,
			tt.window:               tt.window != never,
			tt.window + time.Second: false,
		} {
			if age == 0 || tt.window == never && age < 0 {
				continue
			}
			if got := h.usable(known, age); got != want {
				t.Errorf("%s, %v old: usable = %v, want %v", name, age, got, want)
			}
		}
	}
}
