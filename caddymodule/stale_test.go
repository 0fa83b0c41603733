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

// troubles are the ways in which Ironic does not answer.
var troubles = map[string]ironictest.Fault{
	"gone":    {Drop: true},
	"500":     {Status: 500},
	"401":     {Status: 401},
	"garbage": {Status: 200, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}},
	"slow":    {Delay: time.Hour},
}

// TestStale asks for scripts whose facts are older than node_ttl while Ironic does not answer.
func TestStale(t *testing.T) {
	t.Parallel()
	for name, fault := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, func(h *Handler) {
				h.NodeTTL = caddy.Duration(time.Nanosecond)
				h.AnswerDeadline = caddy.Duration(time.Minute)
				h.Ironic.Timeout = caddy.Duration(2 * time.Second)
			})
			patience := func(d time.Duration) { e.handler.terms.Patience, e.handler.imageTerms.Patience = d, d }
			ask := func(n int) answer { return e.get(t, "/pxelinux.cfg/"+nodeMAC(n)) }
			for n := 1; n <= 13; n++ {
				ask(n)
			}
			iso := "/" + nodeUUID(8) + "/boot_iso"
			e.get(t, iso)
			e.api.Inject(fault)
			patience(20 * time.Millisecond) // a busy machine may need longer for what is to succeed
			for n, want := range map[int]string{
				1: "deploy_kernel", 5: "rescue_kernel", // the agent
				6: "sanboot --no-describe", // the local disk
			} {
				got := ask(n)
				if got.status != 200 || !strings.Contains(got.body, want) || !strings.Contains(got.body, "this is what it said") ||
					got.header.Get(reasonHeader) != reasonStale || !strings.Contains(got.header.Get("Cache-Status"), "fwd=stale") {
					t.Errorf("node %d: %d %s %s\n%s", n, got.status, got.header.Get(reasonHeader), got.header.Get("Cache-Status"), got.body)
				}
			}
			if got := ask(11); got.status != 404 { // nothing to boot
				t.Errorf("node 11: %d, want 404", got.status)
			}
			for _, n := range []int{7, 8, 9, 10, 13} { // ramdisk, ISO, volume, installer, unknown state
				if got := ask(n); got.status == 200 && !strings.Contains(got.body, "cannot be used") {
					t.Errorf("node %d: %d\n%s", n, got.status, got.body)
				}
			}
			if got := e.get(t, iso, "Range", "bytes=0-511"); got.status != http.StatusPartialContent { // a sanboot goes on
				t.Errorf("an image: %d", got.status)
			}
			if got := e.get(t, "/"+nodeUUID(1)+"/config"); got.status == 200 && strings.Contains(got.body, "deploy_kernel") {
				t.Error("a node that was never asked for by UUID has a script")
			}
			e.api.Heal()
			patience(time.Minute)
			got := ask(1)
			for start := time.Now(); got.header.Get(reasonHeader) == reasonStale && time.Since(start) < 20*time.Second; got = ask(1) {
			} // a call that began before ends with its timeout
			if got.status != 200 || strings.Contains(got.body, "this is what it said") {
				t.Errorf("afterwards: %d\n%s", got.status, got.body)
			}
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
