// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// middles remembers which clients are in the middle of a node's image, and where its reference led when they began. A
// drive that is booted over HTTP is read range by range, for as long as what was booted runs: each of them would wait for
// Ironic, and be answered from another image once the node's state has changed. A new boot begins with a HEAD or with all
// of the image, for which Ironic is asked. Only Ironic is not asked: whether the origin still lets the image be read is
// looked at as for every request.
type middles struct {
	mu    sync.Mutex
	known map[middleKey]middle
}

type middleKey struct{ client, node, label string }

type middle struct {
	location string // as imageURL returned it
	until    time.Time
	expires  time.Time // of its signature; zero: never, or not known
}

const (
	// middleTime is how long after its last request a client counts as being in the middle: as long as cache/shared holds
	// the object for it.
	middleTime = time.Minute
	maxMiddles = 4096
)

func middleOf(r *http.Request, route route) middleKey {
	return middleKey{clientHost(r), route.subject, route.label}
}

// of returns where the image is that a client is in the middle of. A range with If-Range is no middle: its client knows
// validators, and can be told that there is something else now.
func (m *middles) of(r *http.Request, route route) (location string, ok bool) {
	if len(r.Header["Range"]) == 0 || len(r.Header["If-Range"]) > 0 {
		return "", false
	}
	key, now := middleOf(r, route), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.known[key]
	if !ok || !now.Before(known.until) || !known.expires.IsZero() && !now.Before(known.expires) { // Ironic may have a new one
		return "", false
	}
	known.until = now.Add(middleTime)
	m.known[key] = known
	return known.location, true
}

// begin remembers where a client's image is. A kickstart file is never read in pieces, and holds a token.
func (m *middles) begin(r *http.Request, route route, location string) {
	if route.label == ipxe.Kickstart {
		return
	}
	_, expires, _ := origin.Signed(location)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= maxMiddles || m.known == nil { // who is forgotten has Ironic asked once more
		m.known = make(map[middleKey]middle)
	}
	m.known[middleOf(r, route)] = middle{location, time.Now().Add(middleTime), expires}
}

// end forgets where a client's image was: it could not be had there.
func (m *middles) end(r *http.Request, route route) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, middleOf(r, route))
}

// clientHost is the address of a client, without its port.
func clientHost(r *http.Request) string {
	if address := clientAddress(r); address.IsValid() {
		return address.String()
	}
	return r.RemoteAddr
}
