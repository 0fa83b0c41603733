// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"math"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

func (h *Handler) unmarshalStore(d *caddyfile.Dispenser) error {
	h.Store = new(Store)
	if err := one(d, &h.Store.Directory, "<directory>"); err != nil {
		return err
	}
	return block(d, "store", func(option string) error {
		switch s := h.Store; option {
		case "max_size":
			return size(d, &s.MaxSize)
		case "min_free":
			s.MinFree = new(int64)
			return size(d, s.MinFree)
		case "block":
			return size(d, &s.Block)
		case "parallel":
			return number(d, &s.Parallel)
		case "line_rate":
			return size(d, &s.LineRate)
		case "max_transfers":
			return number(d, &s.MaxTransfers)
		case "pace":
			return size(d, &s.Pace)
		}
		return d.Errf("unknown option %q of store; it takes max_size, min_free, block, parallel, line_rate, max_transfers and pace", option)
	})
}

func (h *Handler) unmarshalMirror(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("option mirror has %d values; write: mirror /<prefix>/ <url>", len(args))
	}
	for _, m := range h.Mirrors {
		if m.Prefix == args[0] {
			return d.Errf("option mirror is given twice for %q; keep one", args[0])
		}
	}
	m := Mirror{Prefix: args[0], Origin: args[1]}
	err := block(d, "mirror", func(option string) error {
		switch option {
		case "max_age":
			return duration(d, &m.MaxAge)
		case "revalidate":
			return onOff(d, &m.Revalidate)
		case "alias":
			return onOff(d, &m.Alias)
		case "stale":
			m.Stale = new(caddy.Duration)
			return duration(d, m.Stale)
		case "ca_file":
			return one(d, &m.CAFile, "<file>")
		case "sha256":
			args := d.RemainingArgs()
			if len(args) != 2 {
				return d.Errf("option sha256 has %d values; write: sha256 <path> <64 hexadecimal digits>", len(args))
			}
			return put(d, option, &m.SHA256, args[0], args[1])
		}
		return d.Errf("unknown option %q of mirror; it takes max_age, revalidate, stale, alias, ca_file and sha256", option)
	}, "sha256")
	h.Mirrors = append(h.Mirrors, m)
	return err
}

func (h *Handler) unmarshalRegistry(d *caddyfile.Dispenser) error {
	var host string
	if err := one(d, &host, "<host>"); err != nil {
		return err
	}
	if _, ok := h.Registries[host]; ok {
		return d.Errf("option registry is given twice for %q; keep one", host)
	}
	var r Registry
	err := block(d, "registry", func(option string) error {
		switch option {
		case "plain":
			return onOff(d, &r.Plain)
		case "user":
			return one(d, &r.Username, "<name>")
		case "password":
			return one(d, &r.Password, "<placeholder>")
		}
		return d.Errf("unknown option %q of registry; it takes plain, user and password", option)
	})
	if h.Registries == nil {
		h.Registries = make(map[string]Registry)
	}
	h.Registries[host] = r
	return err
}

// block reads the options of an option, each once but for those that may be repeated.
func block(d *caddyfile.Dispenser, of string, read func(option string) error, repeated ...string) error {
	seen := make(map[string]bool)
	for _, option := range repeated {
		seen[option] = false
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("option %s of %s is given twice; keep one", option, of)
		}
		if _, mayRepeat := seen[option]; !mayRepeat {
			seen[option] = true
		}
		if err := read(option); err != nil {
			return err
		}
	}
	return nil
}

// size reads a number of bytes such as 200GiB.
func size(d *caddyfile.Dispenser, to *int64) error {
	option := d.Val()
	var value string
	if err := one(d, &value, "<size>"); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(value)
	if err != nil || n > math.MaxInt64 {
		return d.Errf("option %s: %q is not a size; write one such as 200GiB or 64MiB", option, value)
	}
	*to = int64(n)
	return nil
}

// number reads a positive number.
func number(d *caddyfile.Dispenser, to *int) error {
	option := d.Val()
	var value string
	if err := one(d, &value, "<number>"); err != nil {
		return err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return d.Errf("option %s: %q is not a positive number; write one such as 4", option, value)
	}
	*to = n
	return nil
}
