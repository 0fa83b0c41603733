// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const directive = "ironic_edge"

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile reads the directive:
//
//	ironic_edge {
//		ironic <url> [<url>...] {
//			auth none | http_basic <user> <password> | cloud <name> [<clouds.yaml>]
//			ca_file     <file>
//			client_cert <certificate file> <key file>
//			glance      <url>
//			timeout     <duration>
//		}
//		public_url   <url>
//		api_url      <url>[,<url>...]
//		node_ttl     <duration>
//		negative_ttl <duration>
//		answer_deadline <duration>
//		client_rate <number>
//		notifications amqp[s]://<user>:<placeholder>@<host>[:<port>][/<virtual host>] {
//			exchange <name>
//			topic    <name>
//			ca_file  <file>
//		}
//		stale {
//			local_boot <duration>
//			agent      <duration>
//			instance   <duration>
//		}
//		site {
//			conductor_group <name> | shard <name> | all
//			interval <duration>
//			snapshot <file>|off
//		}
//		deploy_kernel  [<cpu_arch>] <reference>
//		deploy_ramdisk [<cpu_arch>] <reference>
//		rescue_kernel  [<cpu_arch>] <reference>
//		rescue_ramdisk [<cpu_arch>] <reference>
//		kernel_append_params <words...>
//		ipxe_timeout <duration>
//		agent_debug  [on|off]
//		fallback_script         <url or path>
//		inspection_callback_url <url>
//		inspection_params       <words...>
//		local_boot  active|off
//		unknown_mac 404|inspect|local
//		beacons     on|off
//		image_map   <reference prefix> <url prefix>
//		conductor_http <url>
//		shadow      <percent>
//		serve       edge|conductor
//		compat      <release>
//		lookup_guard   enforce|report|off
//		lookup_window  <duration>
//		lookup_address same|any
//		loop {
//			scripts <number>
//			within  <duration>
//		}
//		loop_hold [on|off]
//		store <directory> {
//			max_size  <size>
//			min_free  <size>
//			block     <size>
//			parallel  <number>
//			line_rate <bytes per second>
//			max_transfers <number>
//			pace      <bytes per second>
//		}
//		mirror /<prefix>/ <url> {
//			max_age    <duration>
//			revalidate [on|off]
//			stale      <duration>
//			alias      [on|off]
//			ca_file    <file>
//			sha256     <path> <sum>
//		}
//		registry <host> {
//			plain    [on|off]
//			user     <name>
//			password <placeholder>
//		}
//		prefetch      inventory|<reference>...
//		allow_origins <host>...
//		boots [<number>] {
//			file <path>
//		}
//	}
//
// deploy_kernel and its kin may be repeated for other architectures, image_map and mirror for other prefixes, registry
// for other hosts, and a mirror's sha256 for other paths; nothing else may.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.Errf("%s takes no argument, but has %q; put options into a block", directive, d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		if err := h.unmarshalOption(d, seen); err != nil {
			return err
		}
	}
	return nil
}

// unmarshalOption reads one line of the block.
func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, seen map[string]bool) error {
	option := d.Val()
	switch option {
	case "deploy_kernel":
		return byArch(d, &h.DeployKernel)
	case "deploy_ramdisk":
		return byArch(d, &h.DeployRamdisk)
	case "rescue_kernel":
		return byArch(d, &h.RescueKernel)
	case "rescue_ramdisk":
		return byArch(d, &h.RescueRamdisk)
	case "image_map":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf("option image_map has %d values; write: image_map <reference prefix> <URL prefix>", len(args))
		}
		return put(d, option, &h.ImageMap, args[0], args[1])
	case "mirror":
		return h.unmarshalMirror(d)
	case "registry":
		return h.unmarshalRegistry(d)
	}
	if seen[option] {
		return d.Errf("option %s is given twice; keep one", option)
	}
	seen[option] = true
	switch option {
	case "ironic":
		return h.Ironic.unmarshal(d)
	case "public_url":
		return one(d, &h.PublicURL, "<url>")
	case "api_url":
		return one(d, &h.APIURL, "<url>[,<url>...]")
	case "node_ttl":
		return duration(d, &h.NodeTTL)
	case "negative_ttl":
		return duration(d, &h.NegativeTTL)
	case "answer_deadline":
		return duration(d, &h.AnswerDeadline)
	case "client_rate":
		return h.unmarshalClientRate(d)
	case "notifications":
		return h.unmarshalNotifications(d)
	case "stale":
		return h.unmarshalStale(d)
	case "site":
		return h.unmarshalSite(d)
	case "kernel_append_params":
		h.KernelAppendParams = new(string)
		return words(d, h.KernelAppendParams)
	case "ipxe_timeout":
		return duration(d, &h.IPXETimeout)
	case "agent_debug":
		return onOff(d, &h.AgentDebug)
	case "fallback_script":
		return one(d, &h.FallbackScript, "<url or path>")
	case "inspection_callback_url":
		return one(d, &h.InspectionCallbackURL, "<url>")
	case "inspection_params":
		return words(d, &h.InspectionParams)
	case "local_boot":
		return one(d, &h.LocalBoot, "active|off")
	case "beacons":
		return one(d, &h.Beacons, "on|off")
	case "unknown_mac":
		return one(d, &h.UnknownMAC, "404|inspect|local")
	case "conductor_http":
		return one(d, &h.ConductorHTTP, "<url>")
	case "shadow":
		return number(d, &h.Shadow)
	case "serve":
		return one(d, &h.Serve, "edge|conductor")
	case "lookup_guard", "lookup_window", "lookup_address", "loop", "loop_hold":
		return h.unmarshalAgent(d, option)
	case "store":
		return h.unmarshalStore(d)
	case "prefetch":
		if h.Prefetch = d.RemainingArgs(); len(h.Prefetch) == 0 {
			return d.Err("option prefetch has no value; write: prefetch inventory|<reference>...")
		}
		return nil
	case "allow_origins":
		if h.AllowOrigins = d.RemainingArgs(); len(h.AllowOrigins) == 0 {
			return d.Err("option allow_origins has no value; write: allow_origins <host>...")
		}
		return nil
	case "compat":
		return one(d, &h.Compat, "<release>")
	case "boots":
		return h.unmarshalBoots(d)
	}
	return d.Errf("unknown option %q; the options of %s are listed in docs/caddyfile.md", option, directive)
}

func (i *Ironic) unmarshal(d *caddyfile.Dispenser) error {
	if err := i.unmarshalURLs(d); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("option %s is given twice; keep one", option)
		}
		seen[option] = true
		var err error
		switch option {
		case "auth":
			err = i.unmarshalAuth(d)
		case "ca_file":
			err = one(d, &i.CAFile, "<file>")
		case "client_cert":
			args := d.RemainingArgs()
			if len(args) != 2 {
				return d.Errf("option client_cert has %d values; write: client_cert <certificate file> <key file>", len(args))
			}
			i.ClientCert, i.ClientKey = args[0], args[1]
		case "timeout":
			err = duration(d, &i.Timeout)
		case "glance":
			err = one(d, &i.Glance, "<url>")
		default:
			err = d.Errf("unknown option %q of ironic; it takes auth, ca_file, client_cert, glance and timeout", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (i *Ironic) unmarshalAuth(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	const grammar = "write: auth none | http_basic <user> <password> | cloud <name> [<clouds.yaml>]"
	switch {
	case len(args) == 1 && args[0] == "none":
	case len(args) == 3 && args[0] == "http_basic":
		i.Username, i.Password = args[1], args[2]
	case (len(args) == 2 || len(args) == 3) && args[0] == "cloud":
		i.Cloud = args[1]
		if len(args) == 3 {
			i.CloudsFile = args[2]
		}
	case len(args) == 0:
		return d.Errf("option auth has no value; %s", grammar)
	case args[0] == "none" || args[0] == "http_basic" || args[0] == "cloud":
		return d.Errf("option auth %s has %d values; %s", args[0], len(args)-1, grammar)
	default:
		return d.Errf("option auth: %q is not a kind of authentication; %s", args[0], grammar)
	}
	i.Auth = args[0]
	return nil
}

// one reads the only value of an option.
func one(d *caddyfile.Dispenser, to *string, grammar string) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("option %s has %d values; write: %s %s", option, len(args), option, grammar)
	}
	*to = args[0]
	return nil
}

// words reads any number of values, which may also be one in quotes.
func words(d *caddyfile.Dispenser, to *string) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf(`option %s has no value; write: %s "<words>"`, option, option)
	}
	*to = strings.Join(args, " ")
	return nil
}

func duration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	option := d.Val()
	var value string
	if err := one(d, &value, "<duration>"); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(value)
	if err != nil {
		return d.Errf("option %s: %q is not a duration; write one such as 5s or 2m", option, value)
	}
	*to = caddy.Duration(parsed)
	return nil
}

func onOff(d *caddyfile.Dispenser, to *bool) error {
	option := d.Val()
	args := d.RemainingArgs()
	switch {
	case len(args) == 0 || len(args) == 1 && args[0] == "on":
		*to = true
	case len(args) == 1 && args[0] == "off":
		*to = false
	default:
		return d.Errf("option %s: %q is neither on nor off; write: %s on", option, strings.Join(args, " "), option)
	}
	return nil
}

// byArch reads a reference with or without an architecture before it.
func byArch(d *caddyfile.Dispenser, to *map[string]string) error {
	option := d.Val()
	args := d.RemainingArgs()
	switch len(args) {
	case 1:
		return put(d, option, to, "", args[0])
	case 2:
		return put(d, option, to, args[0], args[1])
	}
	return d.Errf("option %s has %d values; write: %s [<cpu_arch>] <reference>", option, len(args), option)
}

// put adds an entry to a table and refuses a second one of the same name.
func put(d *caddyfile.Dispenser, option string, to *map[string]string, name, value string) error {
	if _, ok := (*to)[name]; ok {
		return d.Errf("option %s is given twice for %q; keep one", option, name)
	}
	if *to == nil {
		*to = make(map[string]string)
	}
	(*to)[name] = value
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
