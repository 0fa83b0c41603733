// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"net"
	"net/http"
	"strings"
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

// leaseKey tells clients apart by what they ask for, too: the machines behind one NAT have paths of their own for the images
// that they have in common, and none of them may end another's lease.
type leaseKey struct{ client, path, target string }

type lease struct {
	o     *disk.Object
	kept  kept
	timer *time.Timer
}

func keyOf(r *http.Request, target string) leaseKey {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return leaseKey{host, r.URL.Path, target}
}

// middle returns the object that firmware is in the middle of, with a use of it. It is not asked about: a round trip to
// the origin for each block that a sanboot reads would be most of its time.
func (l *leases) middle(r *http.Request, t *Target) (*disk.Object, kept) {
	if len(r.Header["Range"]) == 0 || len(r.Header["If-Range"]) > 0 || !t.Private && !firmware(r) {
		return nil, kept{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held[keyOf(r, t.Key)]
	if held == nil || !held.o.Retain() {
		return nil, kept{}
	}
	return held.o, held.kept
}

// firmware reports whether a client is one that reads by ranges and knows no validators.
func firmware(r *http.Request) bool {
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "iPXE/") || strings.HasPrefix(agent, "UefiHttpBoot/") || strings.HasPrefix(agent, "GRUB")
}

// hold returns the object that a client is in the middle of: the one that it was given before if this is a range, else
// the current one. It takes over one use of the current object and returns one of the object that it returns.
func (l *leases) hold(r *http.Request, target string, current *disk.Object, k kept, middle bool) (*disk.Object, kept) {
	key := keyOf(r, target)
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held[key]
	if held != nil && held.o == current {
		held.timer.Reset(leaseTime)
		return current, k
	}
	if held != nil && middle && held.o.Retain() {
		held.timer.Reset(leaseTime)
		current.Release()
		return held.o, held.kept
	}
	if held != nil {
		l.endLocked(key, held)
	}
	if l.closed || len(l.held) >= maxLeases || !current.Retain() {
		return current, k
	}
	if l.held == nil {
		l.held = make(map[leaseKey]*lease)
	}
	n := &lease{o: current, kept: k}
	n.timer = time.AfterFunc(leaseTime, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held[key] == n {
			l.endLocked(key, n)
		}
	})
	l.held[key] = n
	return current, k
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
