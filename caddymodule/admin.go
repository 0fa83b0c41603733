// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
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

// running returns the edges of the running configuration, or the one that a request names.
func running(name string) (*overview, error) {
	app, err := caddy.ActiveContext().AppIfConfigured(directive)
	if err != nil {
		return nil, &fault{http.StatusServiceUnavailable, "no_edge", "the running configuration has no ironic_edge"}
	}
	return overviewOf(app.(*App)).only(name)
}

func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	o, err := running(r.URL.Query().Get("edge"))
	if err != nil {
		return answerAdmin(w, nil, err)
	}
	node := r.URL.Query().Get("node")
	path := strings.TrimPrefix(r.URL.Path, api.Prefix)
	switch r.Method + " " + path {
	case "GET status":
		return answerAdmin(w, o.Status(), nil)
	case "GET nodes":
		return answerAdmin(w, o.Nodes(), nil)
	case "GET unknown":
		return answerAdmin(w, o.Strays(), nil)
	case "GET silent":
		return answerAdmin(w, o.Silent(), nil)
	case "GET images":
		return answerAdmin(w, o.Images(), nil)
	case "GET boots":
		listed, err := o.bootsOf(r.Context(), node)
		return answerAdmin(w, listed, err)
	case "GET boots/stream":
		return streamBoots(w, r, o)
	case "GET explain":
		e, err := o.explain(r.Context(), node, r.URL.Query().Get("state"))
		return answerAdmin(w, e, err)
	case "GET diff":
		d, err := o.diff(r.Context(), node)
		return answerAdmin(w, d, err)
	case "GET doctor":
		return answerAdmin(w, o.doctor(r.Context()), nil)
	case "POST scrub":
		return o.scrub(r.Context(), newProgress(w))
	case "POST prefetch", "POST purge", "POST refresh":
		var asked struct{ Image, Node string }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&asked); err != nil {
			return answerAdmin(w, nil, &fault{http.StatusBadRequest, "body", "the request's body is no JSON object"})
		}
		if asked.Image+asked.Node == "" {
			return answerAdmin(w, nil, &fault{http.StatusBadRequest, "body", "the request's body names nothing; give an image or a node"})
		}
		if path == "prefetch" {
			return o.prefetch(r.Context(), asked.Image, newProgress(w))
		}
		return answerAdmin(w, struct{}{}, o.Act(r.Context(), path, asked.Image+asked.Node))
	}
	return answerAdmin(w, nil, &fault{http.StatusNotFound, "path", "the admin API has no " + r.Method + " " + r.URL.Path})
}

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
	_ = out.Flush() // the client learns that there is a feed, even while it has nothing to tell
	for version := uint64(0); ; {
		next, err := o.waitHere(r.Context(), version)
		switch {
		case r.Context().Err() != nil:
			return nil
		case err != nil: // the configuration is over
			if o, err = running(r.URL.Query().Get("edge")); err != nil || o.running.Err() != nil {
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
