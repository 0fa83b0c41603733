// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"net/http"
	"net/url"
	"strings"
)

// call is a request whose version has been negotiated.
type call struct {
	*http.Request
	minor int
	base  string // scheme and host, for links
	query url.Values
	ident string // of a node, in the path
}

// route is a kind of request: its name in the log, its method, whether it needs no credentials, and the oldest microversion
// that has it.
type route struct {
	kind   string
	method string
	public bool
	since  int
	serve  func(*Server, http.ResponseWriter, call)
}

var (
	rootRoute       = route{"root", http.MethodGet, true, 0, (*Server).serveRoot}
	v1Route         = route{"v1", http.MethodGet, true, 0, (*Server).serveV1}
	nodesRoute      = route{"nodes", http.MethodGet, false, 0, (*Server).serveNodes}
	nodeRoute       = route{"node", http.MethodGet, false, 0, (*Server).serveNode}
	portsRoute      = route{"ports", http.MethodGet, false, 0, (*Server).servePorts}
	portgroupsRoute = route{"portgroups", http.MethodGet, false, 23, (*Server).servePortgroups}
	targetsRoute    = route{"targets", http.MethodGet, false, 32, (*Server).serveTargets}
	connectorsRoute = route{"connectors", http.MethodGet, false, 32, (*Server).serveConnectors}
	lookupRoute     = route{"lookup", http.MethodGet, true, 22, (*Server).serveLookup}
	heartbeatRoute  = route{"heartbeat", http.MethodPost, true, 22, (*Server).serveHeartbeat}
	inspectionRoute = route{"continue_inspection", http.MethodPost, true, 84, (*Server).serveInspection} // and in 1.1
	otherRoute      = route{"other", "", false, 0, nil}                                                  // which the stand-in has not
)

// routeOf returns a path's route and the node that the path names. A trailing slash makes no difference, nor does
// "detail", which is a way to ask for all fields.
func routeOf(path string) (route, string, bool) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	if segments[0] == "" {
		return rootRoute, "", false
	}
	if segments[0] == "v1" { // /nodes is /v1/nodes
		segments = segments[1:]
	}
	detail := len(segments) > 1 && segments[len(segments)-1] == "detail"
	if detail {
		segments = segments[:len(segments)-1]
	}
	switch strings.Join(segments, "/") {
	case "":
		return v1Route, "", false
	case "nodes":
		return nodesRoute, "", detail
	case "ports":
		return portsRoute, "", detail
	case "portgroups":
		return portgroupsRoute, "", detail
	case "volume/targets":
		return targetsRoute, "", detail
	case "volume/connectors":
		return connectorsRoute, "", detail
	case "lookup":
		return lookupRoute, "", false
	case "continue_inspection":
		return inspectionRoute, "", false
	}
	switch {
	case len(segments) == 2 && segments[0] == "nodes":
		return nodeRoute, segments[1], false
	case len(segments) == 3 && segments[0] == "nodes" && segments[2] == "ports":
		return portsRoute, segments[1], detail
	case len(segments) == 2 && segments[0] == "heartbeat":
		return heartbeatRoute, segments[1], false
	}
	return otherRoute, "", false
}

// ServeHTTP answers a request as Ironic would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, ident, detail := routeOf(r.URL.Path)
	s.record(to.kind, r)
	if f := s.faultFor(r.URL.Path); f != nil && f.hit(w, r) {
		return
	}
	s.mu.Lock()
	authorize, challenge, newest := s.authorize, s.challenge, s.maxMinor
	s.mu.Unlock()
	if to.kind == inspectionRoute.kind && newest < inspectionRoute.since {
		to = otherRoute
	}
	if !to.public && !authorize(r) {
		challenge(w)
		return
	}
	// What the framework refuses, HEAD among it, does not name the range of versions.
	if to.kind == otherRoute.kind {
		abort(w, http.StatusNotFound, "")
		return
	}
	if r.Method != to.method {
		abort(w, http.StatusMethodNotAllowed, "")
		return
	}
	minor, ok := s.negotiate(w, r)
	if !ok {
		return
	}
	if minor < to.since && (to.kind != inspectionRoute.kind || minor != 1) {
		to.tooOld(w)
		return
	}
	c := call{Request: r, minor: minor, base: "http://" + r.Host, query: r.URL.Query(), ident: ident}
	if detail {
		c.query.Set("detail", "True")
	}
	to.serve(s, w, c)
}

// tooOld answers a call in a version that has no such resource. Volumes are refused where paths are resolved
// (ironic/api/controllers/v1/volume.py: _lookup), the others by their controllers.
func (to route) tooOld(w http.ResponseWriter) {
	switch to.kind {
	case targetsRoute.kind, connectorsRoute.kind:
		abort(w, http.StatusNotFound, "")
	case inspectionRoute.kind:
		clientError(w, http.StatusNotFound, "API version 1.84 or newer is required")
	default:
		notFound(w)
	}
}
