// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// conductorScripts are the scripts of the conductor that machines' requests ask for.
type conductorScripts struct {
	exchanges
	underWay atomic.Int64
}

// maxConductorScripts bounds those that are asked for at once. They go on when nobody waits any more.
const maxConductorScripts = 64

var (
	errConductorSlow = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "read the conductor's script", Reason: "conductor_slow",
		Err: errors.New("it has not come within answer_deadline")}
	errConductorBusy = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "read the conductor's script", Reason: "conductor_busy",
		Err: errors.New("too many are being read")}
)

// conductorSecrets reads the credentials out of the script that the conductor wrote for the node.
func (h *Handler) conductorSecrets(r *http.Request, node *ipxe.Node, until time.Time) (*ipxe.Secrets, error) {
	text, err := h.awaitConductor(r, node.UUID, until)
	defer clear(text)
	if err != nil {
		return nil, err
	}
	return ipxe.ReadSecrets(text), nil
}

// awaitConductor is conductorScript for a machine, which does not wait longer than until a time. Then it is told to come back. The
// script, which may hold passwords, is given to the same machine's same request: once, while it may come back for it, from memory,
// which is overwritten then.
func (h *Handler) awaitConductor(r *http.Request, uuid string, until time.Time) ([]byte, error) {
	scripts := &h.site.conductor
	key := strings.Join([]string{clientHost(r), r.URL.RequestURI(), h.conductor, uuid}, "\x00")
	ctx, cancel := context.WithDeadline(r.Context(), until)
	defer cancel()
	for {
		e, first := scripts.join(key)
		var failed error // is set before e.done
		if first {
			if scripts.underWay.Add(1) > maxConductorScripts {
				scripts.underWay.Add(-1)
				scripts.finish(key, e, nil, 0, 0)
				return nil, errConductorBusy
			}
			h.requests.Add(1) // what it uses stays until it has ended
			go func() {       // ends with the time that a call may take
				defer h.requestEnds()
				defer scripts.underWay.Add(-1)
				var answer *heldAnswer
				var text []byte
				if text, failed = h.conductorScript(context.WithoutCancel(r.Context()), uuid); failed == nil {
					answer = &heldAnswer{body: text}
				}
				scripts.finish(key, e, answer, 1, lateLife)
				clear(text)
			}()
		}
		select {
		case <-e.done:
		case <-ctx.Done():
			return nil, errConductorSlow
		}
		if answer, ok := scripts.take(key, e); ok {
			return answer.body, nil
		}
		if failed != nil {
			return nil, failed
		}
	}
}

// conductorScript reads the script that the conductor wrote for a node. Nil without an error: it has none.
func (h *Handler) conductorScript(ctx context.Context, uuid string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	failed := func(err error) error {
		return &ironic.Error{Kind: ironic.ErrUnavailable, Op: "read the conductor's script of node " + uuid, Reason: "conductor", Err: err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.conductor+"/"+uuid+"/config", nil)
	if err != nil {
		return nil, failed(err)
	}
	response, err := h.origin.Do(request)
	if err != nil {
		return nil, failed(err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, nil
	default:
		return nil, failed(fmt.Errorf("status %d", response.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, failed(err)
	}
	return text, nil
}

// serveConductor gives a node the conductor's own script, as it is.
func (h *Handler) serveConductor(w http.ResponseWriter, r *http.Request, key string, node *ipxe.Node, status cache.Status, until time.Time) error {
	text, err := h.awaitConductor(r, node.UUID, until)
	defer clear(text)
	switch {
	case err != nil:
		return h.refuseNode(w, r, node, err)
	case text == nil:
		return h.refuse(w, r, refusal{http.StatusNotFound, string(ipxe.ReasonState), "the conductor has no script for the node"})
	}
	// Where we have no script, this one may be the agent's all the same.
	if script, err := ipxe.Select(node, h.boot(r), &h.options); err != nil || script.Kind == ipxe.KindDeploy {
		if held, err := h.agentBoots(w, r, key, node, status); held {
			return err
		}
	}
	h.metrics.script(boots.KindConductor, ipxe.ReasonState, status).Inc()
	return h.writeScript(w, r, text)
}
