// SPDX-License-Identifier: Apache-2.0

// Package page is the status page: the rack, a boot's timeline, the store and the machines that nobody knows, each a
// whole page without its script and live with it.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// Source is what the page shows.
type Source interface {
	Status() api.Status
	Nodes() []api.Node
	Boots() []boots.Boot // the newest first
	Images() []api.Image
	// Silent are nodes for which Ironic waits and that never asked, Strays machines that it does not know.
	Silent() []boots.Silent
	Strays() []boots.Stray
	// Explain says which script a node gets.
	Explain(ctx context.Context, node string) (*api.Explanation, error)
	// Wait returns when something has changed since the version, with the present one.
	Wait(ctx context.Context, version uint64) (uint64, error)
	// Act does one of the actions purge, prefetch and refresh. Its errors are for people.
	Act(ctx context.Context, do, name string) error
}

// Page answers requests for the page.
type Page struct {
	Source  Source
	Actions bool // buttons that change something
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	styleText string
	//go:embed page.js
	scriptText string

	pages = template.Must(template.New("").Funcs(functions).Parse(pageText))
	// policy lets in what is in the page, and nothing else.
	policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; connect-src 'self'; img-src data:; style-src " +
		hashOf(styleText) + "; script-src " + hashOf(scriptText)
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// ServeHTTP answers a request whose path, without what was stripped of it, is the page's own: "", boot/<id>, images, unknown,
// live or act. base is the path under which the page is.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request, base, path string) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	switch {
	case path == "act":
		return p.act(w, r, base)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "The page is for reading.", http.StatusMethodNotAllowed)
		return nil
	case path == "live":
		return p.live(w, r)
	}
	v := p.view(r, base, path)
	if v == nil {
		http.Error(w, "There is no such page, or the boot is so old that it is forgotten.", http.StatusNotFound)
		return nil
	}
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, "page", v); err != nil {
		return fmt.Errorf("the status page: %w", err)
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(out.Len()))
	if r.Method == http.MethodGet {
		_, _ = out.WriteTo(w) // the client is gone
	}
	return nil
}

// heartbeat is how often a feed without news says that it is there, so that the browser notices when it is not.
const heartbeat = 15 * time.Second

// live is a feed of server-sent events: one, at most each second, when something has changed. The page then fetches itself.
func (p *Page) live(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	version := uint64(0)
	for {
		ctx, cancel := context.WithTimeout(r.Context(), heartbeat)
		next, err := p.Source.Wait(ctx, version)
		cancel()
		text := ": nothing new\n\n"
		if err == nil {
			version = next
			text = fmt.Sprintf("data: %d\n\n", version)
		} else if r.Context().Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return nil
		}
		if err := out.Flush(); err != nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return nil
		}
	}
}

// act does what a button says, and shows the page again that it was on.
func (p *Page) act(w http.ResponseWriter, r *http.Request, base string) error {
	switch {
	case !p.Actions:
		http.Error(w, "This page is for reading; option actions of ironic_edge_status is off.", http.StatusForbidden)
		return nil
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		http.Error(w, "Actions are sent by POST.", http.StatusMethodNotAllowed)
		return nil
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		http.Error(w, "Another site sent this.", http.StatusForbidden)
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read.", http.StatusBadRequest)
		return nil
	}
	if err := p.Source.Act(r.Context(), r.PostForm.Get("do"), r.PostForm.Get("name")); err != nil {
		http.Error(w, "That did not work: "+err.Error(), http.StatusUnprocessableEntity)
		return nil
	}
	http.Redirect(w, r, back(r, base), http.StatusSeeOther)
	return nil
}

// back is the path of the page that a form was on.
func back(r *http.Request, base string) string {
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host && strings.HasPrefix(from.Path, base) {
		return from.EscapedPath()
	}
	return base
}
