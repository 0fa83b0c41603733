// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault makes requests go wrong. Its zero value does nothing to any request.
type Fault struct {
	// Path is how the paths of the requests begin; empty means all.
	Path string
	// Times is how many requests are hit; 0 means all.
	Times int
	// Delay passes before anything else, or the client's patience.
	Delay time.Duration
	// Drop ends the connection without an answer.
	Drop bool
	// Status, if not 0, is answered, with Header and Body, instead of what would have been.
	Status int
	Header http.Header
	Body   string

	hits int
}

// Inject adds a fault. Of several that match a request the first one hits.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// faultFor returns the fault that hits a request, or nil.
func (s *Server) faultFor(path string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !strings.HasPrefix(path, f.Path) {
			continue
		}
		if f.hits++; f.hits == f.Times {
			s.faults = slices.Delete(slices.Clone(s.faults), i, i+1)
		}
		return f
	}
	return nil
}

// hit lets a fault happen and reports whether that was the answer.
func (f *Fault) hit(w http.ResponseWriter, r *http.Request) bool {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		for name, values := range f.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return true
	}
	return false
}
