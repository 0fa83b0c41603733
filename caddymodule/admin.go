// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin is the part of Caddy's admin API below /ironic_edge/v1/. Package api says what is there.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api." + directive, New: func() caddy.Module { return Admin{} }}
}

// Routes returns the routes.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: api.Prefix, Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

// running returns the edges of the running configuration, or the one that a request names. Without an error, the caller
// releases it.
func running(name string) (*overview, error) {
	app, err := caddy.ActiveContext().AppIfConfigured(directive)
	if err != nil {
		return nil, &fault{http.StatusServiceUnavailable, "no_edge", "the running configuration has no ironic_edge"}
	}
	all := overviewOf(app.(*App))
	o, err := all.only(name)
	if err != nil {
		all.release()
	}
	return o, err
}

// adminRoute is a path of the admin API below its prefix.
type adminRoute struct {
	method string
	answer func(w http.ResponseWriter, r *http.Request, o *overview) error
}

var adminRoutes = map[string]adminRoute{
	"status":  tells(func(_ *http.Request, o *overview) (any, error) { return o.Status(), nil }),
	"nodes":   tells(func(_ *http.Request, o *overview) (any, error) { return o.Nodes(), nil }),
	"unknown": tells(func(_ *http.Request, o *overview) (any, error) { return o.Strays(), nil }),
	"silent":  tells(func(_ *http.Request, o *overview) (any, error) { return o.Silent(), nil }),
	"images":  tells(func(_ *http.Request, o *overview) (any, error) { return o.Images(), nil }),
	"doctor":  tells(func(r *http.Request, o *overview) (any, error) { return o.doctor(r.Context()), nil }),
	"boots":   tells(func(r *http.Request, o *overview) (any, error) { return o.bootsOf(r.Context(), query(r, "node")) }),
	"explain": tells(func(r *http.Request, o *overview) (any, error) {
		return o.explain(r.Context(), query(r, "node"), query(r, "state"))
	}),
	"diff":         tells(func(r *http.Request, o *overview) (any, error) { return o.diff(r.Context(), query(r, "node")) }),
	"boots/stream": {http.MethodGet, streamBoots},
	"prefetch":     acts("image", (*overview).prefetch),
	"purge": acts("image", func(o *overview, _ context.Context, name string, p *progress) error {
		return answerAdmin(p.w, struct{}{}, o.purge(name))
	}),
	"refresh": acts("node", func(o *overview, ctx context.Context, name string, p *progress) error {
		return answerAdmin(p.w, struct{}{}, o.refresh(ctx, name))
	}),
	"scrub": {http.MethodPost, func(w http.ResponseWriter, r *http.Request, o *overview) error {
		return o.scrub(r.Context(), newProgress(w))
	}},
}

// tells is a route that changes nothing.
func tells(what func(*http.Request, *overview) (any, error)) adminRoute {
	return adminRoute{http.MethodGet, func(w http.ResponseWriter, r *http.Request, o *overview) error {
		value, err := what(r, o)
		return answerAdmin(w, value, err)
	}}
}

// acts is a route that does something with what the request's body names.
func acts(with string, do func(*overview, context.Context, string, *progress) error) adminRoute {
	return adminRoute{http.MethodPost, func(w http.ResponseWriter, r *http.Request, o *overview) error {
		var body map[string]string
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&body)
		if err != nil || len(body) != 1 || body[with] == "" {
			return answerAdmin(w, nil, &fault{http.StatusBadRequest, "body", fmt.Sprintf("the request's body is not of the form {%q: NAME}", with)})
		}
		return do(o, r.Context(), body[with], newProgress(w))
	}}
}

func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	route, known := adminRoutes[strings.TrimPrefix(r.URL.Path, api.Prefix)]
	switch {
	case !known:
		return answerAdmin(w, nil, &fault{http.StatusNotFound, "path", "the admin API has no " + r.URL.Path})
	case r.Method != route.method:
		w.Header().Set("Allow", route.method)
		return answerAdmin(w, nil, &fault{http.StatusMethodNotAllowed, "method", r.URL.Path + " takes " + route.method + ", not " + r.Method})
	}
	o, err := running(query(r, "edge"))
	if err != nil {
		return answerAdmin(w, nil, err)
	}
	defer o.release()
	return route.answer(w, r, o)
}

func query(r *http.Request, name string) string { return r.URL.Query().Get(name) }

// answerAdmin writes a value, or an error with a status that fits it.
func answerAdmin(w http.ResponseWriter, value any, err error) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", noStore)
	if err != nil {
		f := faultOf(err)
		w.WriteHeader(f.status)
		value = api.Error{Text: f.text, Reason: f.reason}
	}
	return json.NewEncoder(w).Encode(value)
}

// streamBoots tells of changes to boots as server-sent events, until the client has enough, or the configuration that runs
// has no such edge any more.
func streamBoots(w http.ResponseWriter, r *http.Request, o *overview) error {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	defer func() { o.release() }()
	_ = out.Flush() // the client learns that there is a feed, even while it has nothing to tell
	for version := uint64(0); ; {
		next, err := o.waitHere(r.Context(), version)
		switch {
		case r.Context().Err() != nil:
			return nil
		case err != nil: // the configuration is over
			another, err := running(query(r, "edge"))
			if err != nil {
				return nil
			}
			o.release()
			if o = another; o.running.Err() != nil {
				return nil
			}
			next = 0
		}
		version = next
		if _, err := fmt.Fprintf(w, "data: %d\n\n", version); err != nil {
			return nil
		}
		if err := out.Flush(); err != nil {
			return nil
		}
	}
}

// progress writes how far a long work is, a line each.
type progress struct {
	w   http.ResponseWriter
	out *http.ResponseController
}

func newProgress(w http.ResponseWriter) *progress {
	w.Header().Set("Content-Type", "application/jsonl")
	return &progress{w, http.NewResponseController(w)}
}

// tell writes a line. The client may be gone: the work goes on by its own rules.
func (p *progress) tell(line api.Progress) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, _ = p.w.Write(append(text, '\n'))
	_ = p.out.Flush()
	return nil
}

var _ caddy.AdminRouter = Admin{}
