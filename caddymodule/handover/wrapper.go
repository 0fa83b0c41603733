// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"net"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
)

func init() { caddy.RegisterModule(new(Wrapper)) }

// Wrapper is a listener wrapper with which a reload loses no connection. It has no options. It is for plain HTTP; a TLS
// listener, a Unix socket or one inside of another wrapper is left as it is.
type Wrapper struct{ logger *zap.Logger }

// CaddyModule returns the Caddy module information.
func (*Wrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.ironic_edge", New: func() caddy.Module { return new(Wrapper) }}
}

// UnmarshalCaddyfile reads the wrapper's name, which is all there is.
func (*Wrapper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() || d.NextBlock(0) {
		return d.Errf("the listener wrapper ironic_edge has no option %q; leave it out", d.Val())
	}
	return nil
}

// Provision keeps the logger.
func (w *Wrapper) Provision(ctx caddy.Context) error {
	w.logger = ctx.Logger()
	return nil
}

// WrapListener returns the listener that hands its connections over when it closes.
func (w *Wrapper) WrapListener(ln net.Listener) net.Listener {
	tcp := tcpListener(ln)
	if tcp == nil {
		w.logger.Warn("connections of this listener are not handed over at a reload: it is no plain TCP listener",
			zap.Stringer("address", ln.Addr()))
		return ln
	}
	return open(ln, tcp, w.logger)
}

// tcpListener returns the TCP listener inside of the one that Caddy counts its users by, a struct that embeds it and is
// not exported. Nil: it is another kind of listener.
func tcpListener(ln net.Listener) *net.TCPListener {
	if v := reflect.ValueOf(ln); v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[caddy.Config]().PkgPath() {
		if inner := v.FieldByName("Listener"); inner.IsValid() {
			tcp, _ := inner.Interface().(*net.TCPListener)
			return tcp
		}
	}
	tcp, _ := ln.(*net.TCPListener)
	return tcp
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Wrapper)(nil)
	_ caddy.ListenerWrapper = (*Wrapper)(nil)
	_ caddyfile.Unmarshaler = (*Wrapper)(nil)
)
