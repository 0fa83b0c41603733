// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/cache/rules"
	"github.com/ironic-edge/ironic-edge/cache/shared"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// Mirror is a part of another web server that is served from here: a conductor's agent images, ISOs, .efi files. It is a
// shared HTTP cache (RFC 9111).
type Mirror struct {
	// The paths that begin with it are served. It begins and ends with a slash.
	Prefix string `json:"prefix"`
	// The URL that takes the prefix's place.
	Origin string `json:"origin"`
	// How long an answer is used without asking the origin, if the origin does not say. Default: a tenth of its age at
	// the origin, a day at most.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
	// Ask the origin each time, and use what is kept only if it confirms it.
	Revalidate bool `json:"revalidate,omitempty"`
	// For how long after that an answer is used while the origin cannot be reached. Default: 7 days.
	Stale *caddy.Duration `json:"stale,omitempty"`
	// Keep one copy of files that have one strong entity tag and length, whatever their names. Right for a conductor, which
	// links one file under the name of each node; wrong for a server whose tags are made of time and length, with different
	// files of the same.
	Alias bool `json:"alias,omitempty"`
	// PEM file with the certificates that the origin's certificate must lead to. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
	// SHA-256 sums in hexadecimal, by path below the prefix. What does not match is not served.
	SHA256 map[string]string `json:"sha256,omitempty"`
}

// defaultStale is for how long images are used while their origin is gone: they do not go wrong by being old.
const defaultStale = 7 * 24 * time.Hour

// mirror is a Mirror, checked.
type mirror struct {
	prefix, caFile string
	origin         string // scheme and host
	base           string // the URL that takes the prefix's place
	kin            string // see shared.Target; empty unless alias is on
	policy         rules.Policy
	digests        map[string]*cache.Digest
	client         *origin.Client
	permits        *permits
	targets        targets
}

// resolveMirrors fills in and checks the mirrors.
func (h *Handler) resolveMirrors() error {
	var errs []error
	h.mirrors = nil
	for i := range h.Mirrors {
		m, err := h.Mirrors[i].resolve()
		errs = append(errs, err)
		h.mirrors = append(h.mirrors, m)
	}
	return errors.Join(errs...)
}

func (m *Mirror) resolve() (*mirror, error) {
	r := &mirror{prefix: m.Prefix, digests: make(map[string]*cache.Digest),
		policy: rules.Policy{MaxAge: time.Duration(m.MaxAge), Revalidate: m.Revalidate, Stale: defaultStale}}
	if m.Stale != nil {
		r.policy.Stale = time.Duration(*m.Stale)
	}
	const grammar = "write: mirror /<prefix>/ <url>"
	if !strings.HasPrefix(m.Prefix, "/") || !strings.HasSuffix(m.Prefix, "/") || path.Clean(m.Prefix)+"/" != m.Prefix && m.Prefix != "/" {
		return r, optionError("mirror", m.Prefix, errors.New("is no path that begins and ends with a slash"), grammar)
	}
	if below := m.Prefix + "x"; classify(below, below).way != wayNext {
		return r, optionError("mirror", m.Prefix, errors.New("is a path of Ironic's"), grammar)
	}
	var err error
	if r.origin, err = fill("mirror", m.Origin); err != nil {
		return r, err
	}
	if _, err := ipxe.ParseURL(r.origin); err != nil {
		return r, optionError("mirror "+m.Prefix, m.Origin, err, grammar)
	}
	u, err := url.Parse(r.origin)
	if err != nil {
		return r, optionError("mirror "+m.Prefix, m.Origin, errors.New("is no URL"), grammar)
	}
	r.base = strings.TrimSuffix(r.origin, "/") + "/"
	r.origin = u.Scheme + "://" + u.Host
	if m.Alias {
		r.kin = "mirror " + r.base
	}
	if r.caFile, err = fill("ca_file", m.CAFile); err != nil {
		return r, err
	}
	if m.MaxAge < 0 {
		return r, negative("max_age", m.MaxAge)
	}
	if r.policy.Stale < 0 {
		return r, negative("stale", *m.Stale)
	}
	for name, sum := range m.SHA256 {
		d, err := cache.ParseDigest("sha256", sum)
		if err != nil {
			return r, optionError("sha256", sum, errors.New("is no SHA-256 sum"), "write: sha256 <path> <64 hexadecimal digits>")
		}
		r.digests[strings.TrimPrefix(name, "/")] = &d
	}
	return r, nil
}

// mirrorOf returns the mirror that a path belongs to, that of the longest prefix. Nil: none.
func (h *Handler) mirrorOf(p string) *mirror {
	var found *mirror
	for _, m := range h.mirrors {
		if strings.HasPrefix(p, m.prefix) && (found == nil || len(m.prefix) > len(found.prefix)) {
			found = m
		}
	}
	return found
}

// serveMirror answers from a mirror. What is neither GET nor HEAD goes to the next handler; what it changed there is
// forgotten here (RFC 9111 section 4.4).
func (h *Handler) serveMirror(w http.ResponseWriter, r *http.Request, m *mirror, next caddyhttp.Handler) error {
	target, err := m.known(r.URL)
	if errors.Is(err, errPlain) {
		return h.refuse(w, r, refusal{http.StatusBadRequest, reasonPath, "the path has more than one reading"})
	}
	if err != nil {
		return h.refuse(w, r, refusal{http.StatusBadRequest, reasonPath, "the path cannot be mirrored"})
	}
	store := h.storage.shared()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return h.change(w, r, m, target, store, next)
	}
	return h.serveTarget(w, r, target, imageLabelMirror)
}

// target is what a request's URL names.
func (m *mirror) target(u *url.URL) (*shared.Target, error) {
	name := strings.TrimPrefix(u.Path, m.prefix)
	to, err := url.Parse(m.base)
	if err != nil {
		return nil, err
	}
	to.RawPath = to.EscapedPath() + (&url.URL{Path: name}).EscapedPath() // the base as the operator has spelled it
	to.Path += name
	to.RawQuery = u.RawQuery
	source, err := m.client.Source(to.String(), nil)
	if err != nil {
		return nil, err
	}
	t := &shared.Target{URL: to, Upstream: source, Digest: m.digests[name], Kin: m.kin, Policy: m.policy}
	key, expires, signed := origin.Signed(to.String())
	if signed {
		t.Upstream = &signedImage{Upstream: source, source: source, url: to.String(), expires: expires, client: true, permits: m.permits}
	}
	t.Key = mirrorKey(key, to)
	return t, nil
}

// prefetchTarget is what a path below the mirror leads to.
func (m *mirror) prefetchTarget(path string) (*shared.Target, error) {
	u, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	return m.target(u)
}

// mirrorKey is that of a URL, whose signature, if it has one, is left out in signed.
func mirrorKey(signed string, u *url.URL) string {
	return "mirror " + origin.Key(cmp.Or(signed, u.String()))
}

// plainPath reports whether a path has one reading only, of which a server that cuts parameters off segments (..;x) may
// have its own. Firmware spells a colon in two ways, which are one.
func plainPath(u *url.URL) bool {
	for segment := range strings.SplitSeq(u.Path, "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return false
		}
	}
	escaped := strings.ToLower(u.EscapedPath())
	return path.Clean(u.Path) == strings.TrimSuffix(u.Path, "/") && !strings.ContainsAny(u.Path, "\\\x00") &&
		!strings.Contains(escaped, "%2f") && !strings.Contains(escaped, "%5c") || u.Path == "/"
}

// change passes on a request that changes something.
func (h *Handler) change(w http.ResponseWriter, r *http.Request, m *mirror, target *shared.Target, store *shared.Cache, next caddyhttp.Handler) error {
	recorder := &statusWriter{ResponseWriter: w}
	err := next.ServeHTTP(recorder, r)
	if store == nil {
		return err
	}
	request := rules.Request{Method: r.Method, URL: target.URL, Header: r.Header}
	for _, u := range rules.Invalidated(request, rules.Response{Status: recorder.status, Header: w.Header()}) {
		signed, _, _ := origin.Signed(u.String())
		store.Purge(mirrorKey(signed, u))
	}
	return err
}

// statusWriter remembers a status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
