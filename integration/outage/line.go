// SPDX-License-Identifier: Apache-2.0

package outage

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Line is what lies between an edge and Ironic. It has an address of its own that stays the same while it is cut.
type Line struct {
	URL   string
	Calls atomic.Int64 // that reached Ironic

	address string
	proxy   *httputil.ReverseProxy

	mu      sync.Mutex
	trouble Trouble
	changed chan struct{} // closed and made anew when the trouble is another
	server  *http.Server  // nil while the line is cut
	serving sync.WaitGroup
}

// Trouble is what becomes of a call. Left is closed when the line has another trouble. Ironic answers the writer that
// through is given. The nil Trouble is none.
type Trouble func(w http.ResponseWriter, r *http.Request, left <-chan struct{}, through func(http.ResponseWriter))

// Slow has Ironic take longer.
func Slow(by time.Duration) Trouble {
	return func(w http.ResponseWriter, r *http.Request, left <-chan struct{}, through func(http.ResponseWriter)) {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			through(w)
		case <-r.Context().Done():
		case <-left:
			panic(http.ErrAbortHandler)
		}
	}
}

// Answer has something else answer in Ironic's place.
func Answer(status int, kind, body string) Trouble {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}, _ func(http.ResponseWriter)) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// BlackHole takes calls and says nothing.
func BlackHole(_ http.ResponseWriter, r *http.Request, left <-chan struct{}, _ func(http.ResponseWriter)) {
	select {
	case <-r.Context().Done():
	case <-left:
	}
	panic(http.ErrAbortHandler)
}

// NewLine returns a line to an Ironic. Cut ends it.
func NewLine(ironic string) (*Line, error) {
	to, err := url.Parse(ironic)
	if err != nil {
		return nil, err
	}
	l := &Line{changed: make(chan struct{}), address: "127.0.0.1:0",
		proxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}}
	if err := l.listen(); err != nil {
		return nil, err
	}
	l.URL = "http://" + l.address
	return l, nil
}

// listen needs mu, or nobody else.
func (l *Line) listen() error {
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		return err
	}
	l.address = listener.Addr().String()
	server := &http.Server{Handler: l}
	l.server = server
	l.serving.Go(func() { _ = server.Serve(listener) }) // until the line is cut
	return nil
}

// ServeHTTP is for net/http.
func (l *Line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	trouble, left := l.trouble, l.changed
	l.mu.Unlock()
	through := func(w http.ResponseWriter) {
		l.Calls.Add(1)
		l.proxy.ServeHTTP(w, r)
	}
	if trouble == nil {
		through(w)
		return
	}
	trouble(w, r, left, through)
}

// Suffer has the line in trouble, whole again if it was cut. Calls that a trouble holds break off.
func (l *Line) Suffer(t Trouble) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(t)
	if l.server != nil {
		return nil
	}
	return l.listen()
}

// Cut breaks all connections and refuses others.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(nil)
	if l.server != nil {
		_ = l.server.Close()
		l.server = nil
	}
	l.serving.Wait()
}

func (l *Line) leaveLocked(next Trouble) {
	l.trouble = next
	close(l.changed)
	l.changed = make(chan struct{})
}
