// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/caddymodule/page"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

const pageDirective = directive + "_status"

func init() {
	caddy.RegisterModule(new(StatusPage))
	httpcaddyfile.RegisterDirective(pageDirective, pageRoute)
	httpcaddyfile.RegisterDirectiveOrder(pageDirective, httpcaddyfile.Before, "metrics") // so that no mirror of all paths takes its own
}

// StatusPage is the status page of all edges of the configuration: how each node's boot goes and why it goes no further,
// the store, the machines that Ironic does not know. It may stand on any site, that of the rack or another; whoever reaches
// it may read it.
type StatusPage struct {
	// The path below which the page is. Default: /edge/.
	Path string `json:"path,omitempty"`
	// Show buttons that refresh a node, and purge and prefetch images. Put authentication before the page then, such as
	// Caddy's basic_auth. Default: false.
	Actions bool `json:"actions,omitempty"`

	app     *App
	closing context.Context // ends when the server begins to stop, which would wait for the live feeds
	close   context.CancelFunc
}

// CaddyModule returns the Caddy module information.
func (*StatusPage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers." + pageDirective, New: func() caddy.Module { return new(StatusPage) }}
}

// pageRoute reads the directive with its matcher. What begins with a slash is none, as it would be for other handlers, but the
// path of the page.
func pageRoute(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()
	isPath := h.NextArg() && strings.HasPrefix(h.Val(), "/")
	h.Reset()
	var matcher caddy.ModuleMap
	if !isPath {
		h.Next()
		var err error
		if matcher, err = h.ExtractMatcherSet(); err != nil {
			return nil, err
		}
	}
	p := new(StatusPage)
	if err := p.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(matcher, p), nil
}

// UnmarshalCaddyfile reads the directive, without a matcher:
//
//	ironic_edge_status [<path>] {
//		actions [on|off]
//	}
func (p *StatusPage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	switch args := d.RemainingArgs(); len(args) {
	case 0:
	case 1:
		p.Path = args[0]
	default:
		return d.Errf("%s has %d values; write: %s [<path>]", pageDirective, len(args), pageDirective)
	}
	return block(d, pageDirective, func(option string) error {
		if option == "actions" {
			return onOff(d, &p.Actions)
		}
		return d.Errf("unknown option %q of %s; it takes actions", option, pageDirective)
	})
}

// Provision checks the path.
func (p *StatusPage) Provision(ctx caddy.Context) error {
	if p.Path == "" {
		p.Path = "/edge/"
	}
	if !strings.HasPrefix(p.Path, "/") || !strings.HasSuffix(p.Path, "/") {
		return fmt.Errorf("%s: path: %q does not begin and end with a slash; write it as /edge/", pageDirective, p.Path)
	}
	app, err := ctx.App(directive)
	if err != nil {
		return err
	}
	p.app = app.(*App)
	p.closing, p.close = context.WithCancel(context.Background())
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterOnShutdown(p.close)
	}
	return nil
}

// Cleanup ends the live feeds.
func (p *StatusPage) Cleanup() error {
	if p.close != nil {
		p.close()
	}
	return nil
}

// ServeHTTP answers requests below the path, and hands on the others.
func (p *StatusPage) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.URL.Path == strings.TrimSuffix(p.Path, "/") {
		http.Redirect(w, r, p.Path, http.StatusMovedPermanently)
		return nil
	}
	path, ok := strings.CutPrefix(r.URL.Path, p.Path)
	if !ok || r.URL.Path == ipxe.BeaconPath {
		return next.ServeHTTP(w, r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.closing, cancel)()
	r = r.WithContext(ctx)
	return (&page.Page{Source: overviewOf(p.app), Actions: p.Actions}).ServeHTTP(w, r, p.Path, path)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*StatusPage)(nil)
	_ caddy.CleanerUpper          = (*StatusPage)(nil)
	_ caddyhttp.MiddlewareHandler = (*StatusPage)(nil)
	_ caddyfile.Unmarshaler       = (*StatusPage)(nil)
)
