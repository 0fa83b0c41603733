// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
)

// startIronic runs the newest Ironic with one node and returns the URL at which that node is read.
func startIronic(ctx context.Context, dir string) (string, func() error, error) {
	i, err := realironic.Start(ctx, realironic.Release39, dir, realironic.Options{})
	if err != nil {
		return "", nil, err
	}
	cases := slices.DeleteFunc(realironic.CasesOf(i.Release, false), func(c realironic.Case) bool { return c.Name != "wait-call-back-direct" })
	nodes, err := realironic.Fleet(ctx, i, cases)
	if err != nil {
		return "", nil, errors.Join(err, i.Stop())
	}
	return i.URL + "/v1/nodes/" + nodes[0].UUID, i.Stop, nil
}
