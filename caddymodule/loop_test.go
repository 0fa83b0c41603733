// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// loopWarnings counts the warnings about loops.
func loopWarnings(logs *observer.ObservedLogs) int {
	return logs.FilterMessageSnippet("over and over").Len()
}

// TestLoopIsReported boots a node over and over. It gets its script each time.
func TestLoopIsReported(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.Loop = &Loop{Scripts: 3} })
	e.handler.loopLimit.Apart = 0
	core, logs := observer.New(zap.WarnLevel)
	e.handler.logger = zap.New(core)
	target := "/pxelinux.cfg/" + nodeMAC(2)
	for i := range 6 {
		got := e.get(t, target)
		e.ask(t, http.MethodHead, target) // which boots nothing
		if want := map[bool]string{true: reasonLoop}[i >= 2]; got.header.Get(reasonHeader) != want || !strings.Contains(got.body, "deploy_kernel") {
			t.Errorf("boot %d: reason %q, want %q\n%s", i+1, got.header.Get(reasonHeader), want, got.body)
		}
	}
	if n := loopWarnings(logs); n != 1 {
		t.Errorf("%d warnings for one loop", n)
	}
	if got := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)).header.Get(reasonHeader); got != "" {
		t.Errorf("another node is in the loop: %q", got)
	}
	agentAt{e, "127.0.0.1"}.lookup(t, "addresses="+node2MAC)
	if got := e.get(t, target).header.Get(reasonHeader); got != "" {
		t.Errorf("after a lookup: %q", got)
	}
}

// TestLoopIgnoresOneBoot asks for a script as one boot may: for each NIC, after a 503, by HEAD.
func TestLoopIgnoresOneBoot(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.Loop = &Loop{Scripts: 2} })
	e.handler.loopLimit.Apart = time.Hour
	for range 10 {
		if got := e.get(t, "/pxelinux.cfg/"+nodeMAC(2)).header.Get(reasonHeader); got != "" {
			t.Fatalf("one boot is a loop: %q", got)
		}
	}
}

// TestLoopHold holds a node until its provision state changes, with other handlers of the site coming and going.
func TestLoopHold(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.Loop, h.LoopHold, h.NodeTTL = &Loop{Scripts: 3}, true, 1 })
	e.handler.loopLimit.Apart = 0
	began := counted(t, e.handler.metrics.loops)
	target := "/pxelinux.cfg/" + nodeMAC(2)
	for i := range 8 {
		got := e.get(t, target)
		held := strings.Contains(got.body, "chain --replace http://edge.test:8080/"+nodeUUID(2)+"/config || goto hold\n")
		if held != (i >= 2) || held == strings.Contains(got.body, "deploy_kernel") || got.status != http.StatusOK {
			t.Errorf("boot %d: %d\n%s", i+1, got.status, got.body)
		}
		if held && (!strings.Contains(got.body, "3 times within 30m0s") || got.header.Get(reasonHeader) != reasonLoop) {
			t.Errorf("boot %d: reason %q\n%s", i+1, got.header.Get(reasonHeader), got.body)
		}
	}
	if counted(t, e.handler.metrics.loops) == began {
		t.Error("no loop was counted")
	}
	next := newEdgeBefore(t, e.api, func(h *Handler) { h.Loop, h.LoopHold = &Loop{Scripts: 3}, true })
	if got := next.get(t, target); !strings.Contains(got.body, "chain --replace") {
		t.Errorf("the next configuration lets it go:\n%s", got.body)
	}
	if got := e.get(t, "/"+nodeUUID(2)+"/config"); !strings.Contains(got.body, "chain --replace") {
		t.Errorf("where it asks again it is not held:\n%s", got.body)
	}
	e.api.SetProvisionState(nodeUUID(2), "clean wait")
	if got := e.get(t, "/"+nodeUUID(2)+"/config"); !strings.Contains(got.body, "deploy_kernel") {
		t.Errorf("in another state it is held still:\n%s", got.body)
	}
}
