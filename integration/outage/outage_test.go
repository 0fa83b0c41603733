// SPDX-License-Identifier: Apache-2.0

//go:build integration

package outage

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/integration/realironic"
)

// world is what the tests share: an Ironic with nodes, and the binary.
type world struct {
	ironic *realironic.Ironic
	nodes  map[string]*realironic.Node
	binary string
}

// TestOutage breaks the line between an edge and Ironic in all ways.
func TestOutage(t *testing.T) {
	binary, err := edge.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i, err := realironic.Start(t.Context(), realironic.Release39, t.TempDir(), realironic.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &world{ironic: i, nodes: make(map[string]*realironic.Node), binary: binary}
	names := []string{"wait-call-back-http-ipxe"} // boots for real
	for _, k := range kinds {
		names = append(names, k.node)
	}
	var cases []realironic.Case
	for _, c := range realironic.CasesOf(i.Release, false) {
		if slices.Contains(names, c.Name) {
			cases = append(cases, c)
		}
	}
	for n := range rackSize {
		cases = append(cases, realironic.Case{Name: fmt.Sprintf("rack-%03d", n), State: "enroll"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	nodes, err := realironic.Fleet(ctx, i, cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		w.nodes[n.Case] = n
	}
	t.Run("together", func(t *testing.T) { // they take little, and mostly wait
		t.Run("calls", func(t *testing.T) { t.Parallel(); calls(t, w) })
		t.Run("troubles", func(t *testing.T) { t.Parallel(); troubles(t, w) })
	})
	t.Run("boot", func(t *testing.T) { boot(t, w) })
	t.Run("lookup", func(t *testing.T) { lookup(t, w) })
}

// start runs an edge behind a line of its own, for the site of all nodes.
func (w *world) start(t *testing.T, options ...string) (*edge.Edge, *Line, string) {
	t.Helper()
	line, err := NewLine(w.ironic.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Cut)
	dir := t.TempDir()
	snapshot := filepath.Join(dir, "site.json")
	e, err := edge.Start(t.Context(), w.binary, dir, line.URL, append(options,
		"site {\n\t\t\tall\n\t\t\tinterval 5s\n\t\t\tsnapshot "+snapshot+"\n\t\t}")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e, line, snapshot
}

// until waits for a condition that takes no longer than the gate's pauses do.
func until(t *testing.T, e *edge.Edge, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := edge.Poll(ctx, holds); err != nil {
		log := e.Log()
		t.Fatalf("%s: %v\nthe edge's log ends with:\n%s", what, err, log[max(0, len(log)-6000):])
	}
}

// isDown reports whether Ironic is taken for down.
func isDown(e *edge.Edge) bool {
	for line := range strings.Lines(e.Metrics()) {
		if strings.HasPrefix(line, "ironic_edge_ironic_up{") {
			return strings.HasSuffix(line, " 0\n")
		}
	}
	return false
}
