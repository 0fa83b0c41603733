// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"net/http"
	"slices"
)

// Request is what the log keeps of a request.
type Request struct {
	Method    string
	Path      string
	Query     string
	Version   string // the microversion asked for, or empty
	UserAgent string
}

// logged is how many requests the log holds; a demonstration may run for days.
const logged = 1000

// Requests returns the last requests, the oldest first, at most a thousand of them.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Calls returns how many requests there were of a kind: "root", "v1", "nodes" (lists), "node", "ports", "portgroups",
// "targets", "connectors", "lookup", "heartbeat", "continue_inspection" or "other". Those that met a fault count.
func (s *Server) Calls(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[kind]
}

func (s *Server) record(kind string, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[kind]++
	if len(s.requests) == logged {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	version, _ := askedVersion(r.Header)
	s.requests = append(s.requests, Request{r.Method, r.URL.Path, r.URL.RawQuery, version, r.UserAgent()})
}
