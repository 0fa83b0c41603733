// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// nodesOnly is an Ironic with so many nodes.
type nodesOnly struct {
	Source
	n int
}

func (s nodesOnly) Nodes(context.Context, ironic.Scope) iter.Seq2[ironic.Listed, error] {
	return func(yield func(ironic.Listed, error) bool) {
		for i := range s.n {
			if !yield(ironic.Listed{Node: &ipxe.Node{UUID: fmt.Sprint("node ", i)}}, nil) {
				return
			}
		}
	}
}

func (s nodesOnly) AddVolumes(context.Context, []*ipxe.Node) (map[string]error, error) {
	return nil, nil
}

func (s nodesOnly) Ports(context.Context, ironic.Scope) iter.Seq2[ironic.NodePort, error] {
	return func(yield func(ironic.NodePort, error) bool) {
		yield(ironic.NodePort{Node: "node 0", Port: ipxe.Port{Address: "52:54:00:17:00:01"}}, nil)
	}
}

// noAnswers holds nothing.
type noAnswers struct{}

func (noAnswers) Hold(string, Facts)            {}
func (noAnswers) Drop(string, string)           {}
func (noAnswers) Forget(string)                 {}
func (noAnswers) Epoch() uint64                 { return 0 }
func (noAnswers) Forgotten(string, uint64) bool { return false }

// TestAbsentOfAll says that nobody has an address only if all nodes were read.
func TestAbsentOfAll(t *testing.T) {
	for nodes, want := range map[int]bool{3: true, 4: false} {
		inv := New(Config{Source: func() Source { return nodesOnly{n: nodes} }, Answers: noAnswers{}, MaxNodes: 3, Report: func(Reading) {}}, Settings{})
		if _, absent := inv.Absent("52:54:00:17:00:ff"); absent {
			t.Error("nothing was read, and an address is absent")
		}
		if err := inv.full(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, absent := inv.Absent("52:54:00:17:00:ff"); absent != want {
			t.Errorf("%d nodes of which 3 are kept: absent %v, want %v", nodes, absent, want)
		}
		if _, absent := inv.Absent("52:54:00:17:00:01"); absent {
			t.Error("a node's address is absent")
		}
	}
}
