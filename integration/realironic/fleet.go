// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

// Case is one node of the fleet: what it is made of and how it gets where it is.
type Case struct {
	Name  string // provision state and what is special, joined by dashes
	Only  Release
	Tuned bool   // also worth a run with other conductor options
	State string // in which it ends
	Spec  Spec
	Steps []step
}

// atOnce is how many nodes are driven at the same time; a conductor on two cores gains nothing from more.
const atOnce = 12

// Fleet creates and drives the nodes of the cases and returns those that arrived, in the cases' order. The error names
// each node that did not, the state it should have reached and the last_error that Ironic gives.
func Fleet(ctx context.Context, i *Ironic, cases []Case) ([]*Node, error) {
	nodes := make([]*Node, len(cases))
	errs := make([]error, len(cases))
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for j, c := range cases {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			n, err := drive(ctx, i, c)
			for range 2 {
				// SQLite gives up at once where waiting could not help two transactions that both want to write.
				if err == nil || !accident(err) {
					break
				}
				if err = remove(ctx, i, c.Name); err == nil {
					n, err = drive(ctx, i, c)
				}
			}
			if err != nil {
				errs[j] = fmt.Errorf("ironic %s: node %s, wanted state %q: %w", i.Release, c.Name, c.State, err)
				return
			}
			nodes[j] = n
		})
	}
	wg.Wait()
	var arrived []*Node
	for _, n := range nodes {
		if n != nil {
			arrived = append(arrived, n)
		}
	}
	return arrived, errors.Join(errs...)
}

// accident reports whether a node went astray for a reason that is none of its own: many nodes at once are too much for
// SQLite now and then, and for Ironic's image cache, whose clean-up can take a file that another node is just linking.
func accident(err error) bool {
	text := err.Error()
	return strings.Contains(text, "database is locked") ||
		strings.Contains(text, "No such file or directory") && strings.Contains(text, "/tftp_master/")
}

func drive(ctx context.Context, i *Ironic, c Case) (*Node, error) {
	made, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	n, err := create(made, i, c.Name, c.Spec)
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	for j, s := range c.Steps {
		if err := within(ctx, n, s); err != nil {
			return nil, fmt.Errorf("step %d: %w", j+1, err)
		}
	}
	last, err := n.state(ctx)
	if err != nil {
		return nil, err
	}
	if last.Provision != c.State {
		return nil, fmt.Errorf("%w: %s", errUnexpected, last)
	}
	return n, nil
}

// remove takes a node away, whatever state it is in, so that its case can be driven anew.
func remove(ctx context.Context, i *Ironic, name string) error {
	uuid, _ := identity(name)
	n := &Node{Case: name, UUID: uuid, ironic: i, api: i.API, stubs: i.Stubs}
	if err := maintenance(ctx, n); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	i.Stubs.forget(uuid)
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return daemon.Poll(ctx, pollInterval, func() (bool, error) {
		return i.API.do(ctx, http.MethodDelete, "/v1/nodes/"+uuid, nil, nil) == nil, nil
	})
}

func within(ctx context.Context, n *Node, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return s(ctx, n)
}

// CasesOf are the cases that a release with these options can reach.
func CasesOf(r Release, tuned bool) []Case {
	var of []Case
	for _, list := range [][]Case{idleCases, deployCases, activeCases, volumeCases, cleanCases, inspectCases, rescueCases, serviceCases} {
		for _, c := range list {
			if (c.Only == "" || c.Only == r) && (!tuned || c.Tuned) {
				of = append(of, c)
			}
		}
	}
	return of
}
