// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/encode"
	"go.uber.org/zap"
)

func init() { caddy.RegisterModule(new(App)) }

// App opens the stores of a configuration when it starts, looks at all of it and warns of what would break firmware: TLS
// on a boot site, compression around the boot routes, a public_url that no site answers. It has no options and is loaded
// by the handler; nobody needs to configure it.
type App struct {
	ctx      caddy.Context
	logger   *zap.Logger
	handlers []*Handler      // of this configuration, wherever in it they stand
	names    func() []string // of the handlers; to be asked when all is loaded
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directive, New: func() caddy.Module { return new(App) }}
}

// Provision keeps the context: when it is called, the servers are not complete yet.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.names = ctx, ctx.Logger(), sync.OnceValue(a.edgeNames)
	return nil
}

// add makes a handler known, and refuses one that wants a store otherwise than another of its configuration.
func (a *App) add(h *Handler) error {
	for _, other := range a.handlers {
		if h.storage != nil && h.storage == other.storage && h.storeOptions != other.storeOptions {
			return optionError("store", h.Store.Directory, errors.New("is the store of two sites that differ in max_size, min_free, block, parallel or line_rate"),
				"write the same in both, or give them directories of their own")
		}
		if h.site == other.site && h.notifications != nil && other.notifications != nil && *h.notifications != *other.notifications {
			return fmt.Errorf("%s: option notifications differs between two sites that have the same Ironic; write the same in both", directive)
		}
	}
	if err := h.checkBoots(a.handlers); err != nil {
		return err
	}
	if err := h.checkSite(a.handlers); err != nil {
		return err
	}
	a.handlers = append(a.handlers, h)
	return nil
}

// Start opens the stores and writes the warnings.
func (a *App) Start() error {
	a.names()
	for _, h := range a.handlers {
		if err := h.startStore(a.ctx.Slogger()); err != nil {
			return err
		}
		if err := h.startBoots(); err != nil {
			return err
		}
	}
	for _, h := range a.handlers {
		h.startRoster()
		h.site.feed.use(h)
		h.startPrefetch(a.ctx)
	}
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil // no servers, nothing to warn of
	}
	for _, warning := range lint(app.(*caddyhttp.App)) {
		a.logger.Warn(warning)
	}
	return nil
}

// Stop does nothing.
func (a *App) Stop() error { return nil }

// lint returns the warnings about a configuration, one sentence each with its remedy.
func lint(app *caddyhttp.App) []string {
	var warnings []string
	for name, server := range app.Servers {
		found := sightings{}
		found.walk(server.Routes, false)
		for _, s := range found.handlers {
			if s.encoded {
				warnings = append(warnings, fmt.Sprintf("encode stands around ironic_edge on server %s: iPXE stores compressed answers as they come; "+
					"move encode into a handle block without the boot routes", name))
			}
			if len(server.TLSConnPolicies) > 0 {
				warnings = append(warnings, fmt.Sprintf("the boot site on server %s (%s) speaks TLS, which firmware mostly cannot: "+
					"write its address with http:// in front", name, strings.Join(server.Listen, ", ")))
			}
			if w := lintPublicURL(app, s.handler); w != "" {
				warnings = append(warnings, w)
			}
		}
	}
	return warnings
}

// sighting is a handler in the tree of routes.
type sighting struct {
	handler *Handler
	encoded bool
}

type sightings struct{ handlers []sighting }

func (f *sightings) walk(routes caddyhttp.RouteList, encoded bool) {
	for _, route := range routes {
		encoded := encoded // a handler's wrapping ends with its list of routes
		for _, handler := range route.Handlers {
			switch handler := handler.(type) {
			case *encode.Encode:
				encoded = true
			case *caddyhttp.Subroute:
				f.walk(handler.Routes, encoded)
			case *Handler:
				f.handlers = append(f.handlers, sighting{handler, encoded})
			}
		}
	}
}

// lintPublicURL asks each server whether a request for public_url/boot.ipxe would reach the handler.
func lintPublicURL(app *caddyhttp.App, h *Handler) string {
	if h.publicURL == "" {
		return ""
	}
	target, err := url.Parse(h.publicURL)
	if err != nil {
		return ""
	}
	for _, server := range app.Servers {
		if listens(server, target) && reaches(server.Routes, h, probe(server, target)) {
			return ""
		}
	}
	return fmt.Sprintf("public_url %s is answered by no site of this configuration that has this ironic_edge: "+
		"nodes would not find what their scripts name; give the site that address, or see that a proxy or NAT in front of it does", h.publicURL)
}

func port(target *url.URL) uint {
	text := target.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint(n)
}

func listens(server *caddyhttp.Server, target *url.URL) bool {
	for _, listen := range server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err == nil && address.StartPort <= port(target) && port(target) <= address.EndPort {
			return true
		}
	}
	return false
}

// probe is a request as a node would send it.
func probe(server *caddyhttp.Server, target *url.URL) *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: target.Path + "/boot.ipxe"}, Host: target.Host,
		Header: http.Header{}, RequestURI: target.Path + "/boot.ipxe", RemoteAddr: net.JoinHostPort("192.0.2.1", "1")}
	repl := caddy.NewReplacer()
	return caddyhttp.PrepareRequest(r.WithContext(context.Background()), repl, nil, server)
}

// reaches reports whether a request can come to the handler through the routes that match it.
func reaches(routes caddyhttp.RouteList, h *Handler, r *http.Request) bool {
	for _, route := range routes {
		if ok, err := route.MatcherSets.AnyMatchWithError(r); err != nil || !ok {
			continue
		}
		for _, handler := range route.Handlers {
			switch handler := handler.(type) {
			case *caddyhttp.Subroute:
				if reaches(handler.Routes, h, r) {
					return true
				}
			case *Handler:
				if handler == h {
					return true
				}
			}
		}
	}
	return false
}

var _ caddy.App = (*App)(nil)
