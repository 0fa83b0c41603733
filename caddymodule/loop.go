// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// agentBoots notes that a node is about to get the agent's script, by which its lookup will be judged, and whether it got
// one too often. It reports whether the node is held instead and has had its answer.
func (h *Handler) agentBoots(w http.ResponseWriter, r *http.Request, key string, node *ipxe.Node, status cache.Status) (bool, error) {
	if r.Method != http.MethodGet {
		return false, nil
	}
	mac, ok := strings.CutPrefix(key, "mac ")
	if !ok {
		mac = ""
	}
	loop := h.site.seen.Script(seen.Fetch{UUID: strings.ToLower(node.UUID), MAC: mac, State: string(node.ProvisionState),
		From: clientAddress(r)}, h.loopLimit)
	if !loop.Loops {
		return false, nil
	}
	w.Header().Set(reasonHeader, reasonLoop)
	if loop.Begins {
		h.reportLoop(node, loop.Boots)
	}
	if !h.LoopHold {
		return false, nil
	}
	script, err := ipxe.Hold(node, h.boot(r), reasonLoop,
		fmt.Sprintf("It has started its agent %d times within %v, and no agent called this edge.", loop.Boots, h.loopLimit.Within),
		"Look at why the agent does not start or cannot reach its ipa-api-url. It may try again when its provision state changes,",
		fmt.Sprintf("or %v after its last attempt.", h.loopLimit.Within))
	if err != nil {
		return true, h.refuseNode(w, r, node, err)
	}
	text, err := script.AppendText(nil)
	if err != nil {
		return true, h.refuseNode(w, r, node, err)
	}
	h.metrics.script(script.Kind, script.Reason, status).Inc()
	return true, h.writeScript(w, r, text)
}

// reportLoop tells of a node that boots its agent over and over, once for each loop.
func (h *Handler) reportLoop(node *ipxe.Node, boots int) {
	h.metrics.loops.Inc()
	h.logger.Warn("a node boots its agent over and over, and no agent calls", zap.String("node", node.UUID),
		zap.String("provision_state", string(node.ProvisionState)), zap.Int("boots", boots),
		zap.Duration("within", h.loopLimit.Within), zap.Bool("held", h.LoopHold))
}
