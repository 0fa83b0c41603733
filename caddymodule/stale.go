// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// Stale is for how long what Ironic said last about a node is used while Ironic does not answer. The dangers are not the
// same, so the times are not. A node whose agent has reported through this edge since then has left that state, whatever
// the time.
type Stale struct {
	// The local disk, or nothing to boot: a wrong answer is a delay. Default: 24h.
	LocalBoot *caddy.Duration `json:"local_boot,omitempty"`
	// The agent's ramdisk, for deployment, cleaning, inspection, service and rescue: Ironic refuses its lookup if it is
	// wrong. Default: 15m.
	Agent *caddy.Duration `json:"agent,omitempty"`
	// Instances that are a ramdisk, an ISO, volumes or an installer: a wrong answer reinstalls or leaks. Default: 0.
	Instance *caddy.Duration `json:"instance,omitempty"`
}

// windows are the times of Stale.
type windows struct{ localBoot, agent, instance time.Duration }

var defaultWindows = windows{localBoot: 24 * time.Hour, agent: 15 * time.Minute}

func (s *Stale) resolve() (windows, error) {
	w := defaultWindows
	if s == nil {
		return w, nil
	}
	var errs []error
	for _, f := range []struct {
		option string
		value  *caddy.Duration
		to     *time.Duration
	}{{"stale local_boot", s.LocalBoot, &w.localBoot}, {"stale agent", s.Agent, &w.agent}, {"stale instance", s.Instance, &w.instance}} {
		if f.value == nil {
			continue
		}
		if *f.to = time.Duration(*f.value); *f.to < 0 {
			errs = append(errs, negative(f.option, *f.value))
		}
	}
	return w, errors.Join(errs...)
}

func (h *Handler) unmarshalStale(d *caddyfile.Dispenser) error {
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf("option stale has %d values; write: stale { ... }", len(args))
	}
	h.Stale = new(Stale)
	return block(d, "stale", func(option string) error {
		to := map[string]**caddy.Duration{"local_boot": &h.Stale.LocalBoot, "agent": &h.Stale.Agent, "instance": &h.Stale.Instance}[option]
		if to == nil {
			return d.Errf("unknown option %q of stale; it takes local_boot, agent and instance", option)
		}
		*to = new(caddy.Duration)
		return duration(d, *to)
	})
}

// of is the window of what a node in that state is given.
func (w windows) of(script *ipxe.Script, err error) time.Duration {
	var nothing *ipxe.NotBootable
	switch {
	case errors.As(err, &nothing):
		return w.localBoot
	case err != nil:
		return 0 // what it needs has to be asked for
	}
	switch script.Kind {
	case ipxe.KindWholeDisk:
		return w.localBoot
	case ipxe.KindDeploy:
		return w.agent
	case ipxe.KindExplain:
		return 0
	}
	return w.instance
}

func (w windows) longest() time.Duration { return max(w.localBoot, w.agent, w.instance) }

// usable reports whether facts of that age may stand in for fresh ones.
func (h *Handler) usable(known *knownNode, age time.Duration) bool {
	if age > h.windows.longest() {
		return false
	}
	script, err := ipxe.Select(known.node, ipxe.Boot{BaseURL: "http://edge", RequestID: newRequestID()}, &h.options)
	return age <= h.windows.of(&script, err)
}

// tellStale says that an answer is made of old facts.
func (h *Handler) tellStale(w http.ResponseWriter, node *ipxe.Node, age time.Duration) {
	w.Header().Set(reasonHeader, reasonStale)
	h.quiet.Warn("Ironic does not answer; a node gets what was right when it last did", zap.String("node", node.UUID),
		zap.String("provision_state", string(node.ProvisionState)), zap.Duration("age", age))
	h.site.boots.emit(eventStale, map[string]any{"node": node.UUID, "name": node.Name, "provision_state": string(node.ProvisionState), "age": age.Seconds()})
}
