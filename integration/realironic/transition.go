// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"net/http"
)

// Provision asks for a provision state transition by its verb and waits for the state that it leads to.
func (n *Node) Provision(ctx context.Context, verb, state string) error {
	if err := within(ctx, n, request(verb)); err != nil {
		return err
	}
	return within(ctx, n, until(state))
}

// AddPort gives the node a further NIC.
func (n *Node) AddPort(ctx context.Context, mac string) error {
	return n.api.do(ctx, http.MethodPost, "/v1/ports", map[string]any{"node_uuid": n.UUID, "address": mac}, nil)
}
