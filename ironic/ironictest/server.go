// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is the stand-in. It is an http.Handler; all of its methods may be called while it serves.
type Server struct {
	// URL is where a started server listens, such as http://127.0.0.1:40123, without /v1.
	URL string

	mu        sync.Mutex
	nodes     []*Node // in the order of their creation, as in Ironic's answers
	faults    []*Fault
	calls     map[string]int
	requests  []Request
	minMinor  int
	maxMinor  int
	authorize func(*http.Request) bool
	challenge func(http.ResponseWriter)

	address string // fixed by the first start
	server  *http.Server
	serving sync.WaitGroup
}

// NewestMinor is the newest microversion, 1.NewestMinor, that the stand-in answers with by default.
const NewestMinor = 115

// New returns a server that does not listen, for use as an http.Handler.
func New(nodes ...Node) *Server {
	s := &Server{minMinor: 1, maxMinor: NewestMinor, calls: map[string]int{}, authorize: func(*http.Request) bool { return true }}
	for _, n := range nodes {
		s.SetNode(n)
	}
	return s
}

// Start returns a server that listens on the loopback interface. Like httptest.NewServer it panics when it cannot.
func Start(nodes ...Node) *Server {
	s := New(nodes...)
	if err := s.Resume(); err != nil {
		panic("ironictest: " + err.Error())
	}
	return s
}

// Close ends the server and every connection to it.
func (s *Server) Close() { s.Stop() }

// Stop ends every connection and refuses new ones, as an Ironic that is down. The nodes stay.
func (s *Server) Stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
	s.serving.Wait()
}

// Resume listens again, at the same address. It does nothing when the server was not stopped.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil
	}
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.address == "" {
		s.address = l.Addr().String()
		s.URL = "http://" + s.address
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.server = server
	s.serving.Go(func() { _ = server.Serve(l) })
	return nil
}

// SetVersions sets the range of microversions, 1.oldest to 1.newest.
func (s *Server) SetVersions(oldest, newest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minMinor, s.maxMinor = oldest, newest
}

// RequireBasic turns on http_basic: what is not public needs the user and the password.
func (s *Server) RequireBasic(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authorize = func(r *http.Request) bool {
		u, p, ok := r.BasicAuth()
		return ok && u == user && subtle.ConstantTimeCompare([]byte(p), []byte(password)) == 1
	}
	s.challenge = func(w http.ResponseWriter) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Baremetal API"`)
		writeJSON(w, http.StatusUnauthorized, object{"error": object{"message": "Authorization required", "code": 401}})
	}
}

// RequireToken turns on Keystone's authentication: what is not public needs a token that valid accepts. It is called for
// each request, and may say no to a token that it has accepted before.
func (s *Server) RequireToken(valid func(token string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authorize = func(r *http.Request) bool {
		token := r.Header.Get("X-Auth-Token")
		return token != "" && valid(token)
	}
	s.challenge = func(w http.ResponseWriter) {
		w.Header().Set("WWW-Authenticate", `Keystone uri="http://127.0.0.1:5000"`)
		writeJSON(w, http.StatusUnauthorized, object{"error": object{
			"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}})
	}
}

// SetNode adds a node, or replaces the one with the same UUID.
func (s *Server) SetNode(n Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = n.clone()
	if i := s.indexLocked(n.UUID); i >= 0 {
		n.token, n.heartbeats = s.nodes[i].token, s.nodes[i].heartbeats
		if n.ProvisionUpdatedAt.IsZero() {
			n.ProvisionUpdatedAt = s.nodes[i].ProvisionUpdatedAt
		}
		n.touch(s.nodes[i])
		if n.ProvisionState != s.nodes[i].ProvisionState {
			n.enter()
		}
		s.nodes[i] = n.completed()
		return
	}
	s.nodes = append(s.nodes, n.completed())
}

// SetProvisionState moves a node to a state and reports whether there is such a node. In states without an agent the
// agent's token is forgotten, so that the next agent gets one.
func (s *Server) SetProvisionState(uuid, state string) bool {
	return s.Update(uuid, func(n *Node) { n.ProvisionState = state })
}

// Update changes a node and reports whether there is one. The function must not call the server.
func (s *Server) Update(uuid string, change func(*Node)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexLocked(uuid)
	if i < 0 {
		return false
	}
	n := s.nodes[i].clone()
	change(&n)
	n.touch(s.nodes[i])
	if n.ProvisionState != s.nodes[i].ProvisionState {
		n.enter()
	}
	s.nodes[i] = n.completed()
	return true
}

// touch sets when the node was changed, which is not when something that belongs to it was.
func (n *Node) touch(before *Node) {
	own := func(n Node) Node {
		n.Ports, n.Portgroups, n.Volumes, n.Connectors, n.changed = nil, nil, nil, nil, time.Time{}
		return n
	}
	n.changed = before.changed
	if !reflect.DeepEqual(own(*n), own(*before)) {
		n.changed = time.Now()
	}
}

// enter is what happens to a node whose provision state has changed.
func (n *Node) enter() {
	n.ProvisionUpdatedAt = time.Now()
	if !lookupAllowed(n.ProvisionState) {
		n.token = ""
	}
}

// Remove takes a node away and reports whether there was one.
func (s *Server) Remove(uuid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexLocked(uuid)
	if i >= 0 {
		s.nodes = slices.Delete(s.nodes, i, i+1)
	}
	return i >= 0
}

// Nodes returns copies of the nodes, in the order of their creation.
func (s *Server) Nodes() []Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := make([]Node, len(s.nodes))
	for i, n := range s.nodes {
		nodes[i] = n.clone()
	}
	return nodes
}

// Heartbeats returns how many heartbeats of a node's agent have been accepted.
func (s *Server) Heartbeats(uuid string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexLocked(uuid); i >= 0 {
		return s.nodes[i].heartbeats
	}
	return 0
}

func (s *Server) indexLocked(uuid string) int {
	return slices.IndexFunc(s.nodes, func(n *Node) bool { return strings.EqualFold(n.UUID, uuid) })
}
