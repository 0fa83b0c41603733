// SPDX-License-Identifier: Apache-2.0

//go:build integration

package outage

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rackSize is how many machines ask twice in a minute.
const rackSize = 100

// calls counts what that costs Ironic. docs/caddyfile.md, "The site", says how much it may be.
func calls(t *testing.T, w *world) {
	e, line, _ := w.start(t, "node_ttl 1m", "client_rate 100000", "deploy_kernel http://127.0.0.1:1/kernel", "deploy_ramdisk http://127.0.0.1:1/ramdisk")
	until(t, e, "the nodes are read", func() bool { return strings.Contains(e.Log(), "the site's nodes have been read") })
	before := line.Calls.Load()
	began := time.Now()
	tick := time.NewTicker(time.Minute / (2 * rackSize))
	defer tick.Stop()
	for n := range 2 * rackSize {
		<-tick.C // it is a minute that the figures are about
		node := w.nodes[fmt.Sprintf("rack-%03d", n%rackSize)]
		response, err := http.Get("http://" + e.Address + "/pxelinux.cfg/" + strings.ReplaceAll(node.MACs[0], ":", "-"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if reason := response.Header.Get("X-Ironic-Edge-Reason"); response.StatusCode != http.StatusNotFound || reason != "state" {
			t.Fatalf("%s: %d, reason %q", node.Case, response.StatusCode, reason)
		}
	}
	took := time.Since(began)
	const (
		shortest = 4500 * time.Millisecond // a look is an interval apart from the next, give or take a tenth
		pages    = 5                       // of a full reading: nodes, ports, portgroups, volume targets and connectors
		singles  = 8 * 2                   // look-ups within node_ttl
		rounds   = 2                       // readings within node_ttl that confirm what machines ask about
	)
	looks := int64(took/shortest) + 1
	windows := int64(took/time.Minute) + 1
	bound := looks + (looks/8+1)*pages + windows*(singles+rounds*pages)
	got := line.Calls.Load() - before
	t.Logf("%d calls of Ironic's API in %v for %d machines that asked twice; at most %d", got, took.Round(time.Second), rackSize, bound)
	if got > bound {
		t.Errorf("%d calls, want at most %d\n%s", got, bound, e.Metrics())
	}
}
