// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/disk"
)

// leaseTime is how long after its last request a client counts as being in the middle of an object.
const leaseTime = time.Minute

// maxLeases bounds the objects that are held for clients.
const maxLeases = 4096

// leases hold objects for clients that read them piece by piece. A sanboot asks for one range after another and never
// says of which representation; all of them must be of the one that its HEAD was about (RFC 9110 section 14.2 leaves
// that to If-Range, which firmware does not send).
type leases struct {
	mu     sync.Mutex
	held   map[leaseKey]*lease
	closed bool
}

type leaseKey struct{ client, target string }

type lease struct {
	o     *disk.Object
	timer *time.Timer
}

// hold returns the object that a client is in the middle of: the one that it was given before if this is a range, else
// the current one. It takes over one use of the current object and returns one of the object that it returns.
func (l *leases) hold(r *http.Request, target string, current *disk.Object, middle bool) *disk.Object {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	key := leaseKey{host, target}
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held[key]
	if held != nil && (held.o == current || middle) {
		held.timer.Reset(leaseTime)
		if held.o == current {
			return current
		}
		old := held.o
		if old.Retain() {
			current.Release()
			return old
		}
	}
	if held != nil {
		l.endLocked(key, held)
	}
	if l.closed || len(l.held) >= maxLeases || !current.Retain() {
		return current
	}
	if l.held == nil {
		l.held = make(map[leaseKey]*lease)
	}
	n := &lease{o: current}
	n.timer = time.AfterFunc(leaseTime, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held[key] == n {
			l.endLocked(key, n)
		}
	})
	l.held[key] = n
	return current
}

func (l *leases) endLocked(key leaseKey, held *lease) {
	held.timer.Stop()
	delete(l.held, key)
	held.o.Release()
}

func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for key, held := range l.held {
		l.endLocked(key, held)
	}
}
