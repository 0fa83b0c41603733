// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
)

// Loop is when a node boots its agent over and over: so many boots within a time, with no lookup, heartbeat or inspection's
// report of its agent through this edge since the first of them.
type Loop struct {
	// How many boots. Default: 5.
	Scripts int `json:"scripts,omitempty"`
	// Within which time. Default: 30m.
	Within caddy.Duration `json:"within,omitempty"`
}

const (
	// defaultWindow is when Ironic gives up to wait for the agent ([conductor]deploy_callback_timeout and its kin).
	defaultWindow      = 30 * time.Minute
	longestWindow      = 24 * time.Hour
	defaultLoopScripts = 5
	mostLoopScripts    = 100
	bootsApart         = 10 * time.Second // a machine that starts over needs longer, one with several NICs does not
)

func (h *Handler) unmarshalAgent(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "lookup_guard":
		return one(d, &h.LookupGuard, "enforce|report|off")
	case "lookup_window":
		return duration(d, &h.LookupWindow)
	case "lookup_address":
		return one(d, &h.LookupAddress, "same|any")
	case "loop_hold":
		return onOff(d, &h.LoopHold)
	}
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf("option loop has %d values; write: loop { ... }", len(args))
	}
	h.Loop = new(Loop)
	return block(d, "loop", func(option string) error {
		switch option {
		case "scripts":
			var value string
			if err := one(d, &value, "<number>"); err != nil {
				return err
			}
			n, err := strconv.Atoi(value)
			if err != nil || n == 0 {
				return d.Errf("option loop scripts: %q is no number of scripts; write: scripts 5", value)
			}
			h.Loop.Scripts = n
			return nil
		case "within":
			return duration(d, &h.Loop.Within)
		}
		return d.Errf("unknown option %q of loop; it takes scripts and within", option)
	})
}

// resolveAgent checks what rules the agent's calls and boots.
func (h *Handler) resolveAgent() error {
	loop := Loop{}
	if h.Loop != nil {
		loop = *h.Loop
	}
	h.lookupWindow = cmp.Or(time.Duration(h.LookupWindow), defaultWindow)
	h.loopLimit = seen.Limit{Boots: cmp.Or(loop.Scripts, defaultLoopScripts), Within: cmp.Or(time.Duration(loop.Within), defaultWindow),
		Apart: bootsApart, Hold: h.LoopHold}
	errs := []error{
		oneOf("lookup_guard", h.LookupGuard, "enforce", "report", "off"),
		oneOf("lookup_address", h.LookupAddress, "same", "any"),
		checkWindow("lookup_window", h.lookupWindow),
		checkWindow("loop within", h.loopLimit.Within),
	}
	if n := h.loopLimit.Boots; n < 2 || n > mostLoopScripts {
		errs = append(errs, optionError("loop scripts", strconv.Itoa(n), errors.New("is not between 2 and "+strconv.Itoa(mostLoopScripts)),
			"give a number such as 5"))
	}
	return errors.Join(errs...)
}

func checkWindow(option string, window time.Duration) error {
	switch {
	case window < 0:
		return negative(option, caddy.Duration(window))
	case window > longestWindow:
		return optionError(option, window.String(), errors.New("is longer than a day"), "give a duration such as 30m")
	}
	return nil
}
