// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// linger is how long a closed listener waits for connections whose handshake it has begun: three times the first
// retransmission of a SYN (RFC 6298 section 2.1: one second).
const linger = 3 * time.Second

// groups holds the open listeners by address, each group in the order in which the kernel holds it (net/core/
// sock_reuseport.c: a new one is added last, and the last one takes the place of one that goes).
var groups = struct {
	sync.Mutex
	byAddress map[string][]*listener
	opened    uint64
}{byAddress: make(map[string][]*listener)}

// listener is a TCP listener that hands over what it did not answer when it closes.
type listener struct {
	net.Listener // Caddy's, to be closed
	tcp          *net.TCPListener
	address      string
	opened       uint64 // counts up
	logger       *zap.Logger

	accepting sync.Mutex // held by whoever waits for the kernel

	mu     sync.Mutex
	queue  []*conn // from other listeners
	woken  bool    // the deadline is in the past to wake Accept
	closed bool
}

// open makes a listener and sends all new connections to it.
func open(ln net.Listener, tcp *net.TCPListener, logger *zap.Logger) *listener {
	l := &listener{Listener: ln, tcp: tcp, address: ln.Addr().String(), logger: logger}
	groups.Lock()
	defer groups.Unlock()
	groups.opened++
	l.opened = groups.opened
	groups.byAddress[l.address] = append(groups.byAddress[l.address], l)
	steerLocked(l.address)
	return l
}

// Accept returns the next connection, of the kernel or of another listener.
func (l *listener) Accept() (net.Conn, error) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	for {
		if c, err := l.next(); c != nil || err != nil {
			return c, err
		}
		tcp, err := l.tcp.AcceptTCP()
		if err == nil {
			return &conn{TCPConn: tcp, from: l}, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// next returns a connection that was handed over, an error after Close, and else nothing.
func (l *listener) next() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	if len(l.queue) > 0 {
		c := l.queue[0]
		l.queue = slices.Delete(l.queue, 0, 1)
		return c, nil
	}
	if l.woken {
		l.woken = false
		return nil, l.tcp.SetDeadline(time.Time{})
	}
	return nil, nil
}

// take puts a connection into the queue, unless the listener is closed.
func (l *listener) take(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	c.from = l
	l.queue = append(l.queue, c)
	l.wakeLocked()
	return true
}

func (l *listener) wakeLocked() {
	l.woken = true
	_ = l.tcp.SetDeadline(time.Unix(1, 0)) // it fails on a closed listener only, whose Accept fails by itself
}

// Close ends Accept. With another listener open at the address it returns at once and hands over what still arrives.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	l.wakeLocked()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()

	if caddy.Exiting() || successor(l) == nil {
		for _, c := range queue {
			_ = c.TCPConn.Close()
		}
		return l.remove()
	}
	groups.Lock()
	steerLocked(l.address)
	groups.Unlock()
	for _, c := range queue {
		c.handOver(l)
	}
	go l.drain() // ends after linger
	return nil
}

// drain hands over the connections that the kernel has put into this listener's queue, or will: their handshake began
// before others were steered elsewhere.
func (l *listener) drain() {
	l.accepting.Lock() // Accept has returned
	defer l.accepting.Unlock()
	_ = l.tcp.SetDeadline(time.Now().Add(linger))
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err != nil {
			break // the deadline
		}
		(&conn{TCPConn: tcp}).handOver(l)
	}
	_ = l.remove()
}

// remove takes the listener out of its group and closes it.
func (l *listener) remove() error {
	groups.Lock()
	defer groups.Unlock()
	group := groups.byAddress[l.address]
	if i := slices.Index(group, l); i >= 0 {
		last := len(group) - 1
		group[i] = group[last]
		group[last] = nil
		groups.byAddress[l.address] = group[:last]
		if last == 0 {
			delete(groups.byAddress, l.address)
		}
	}
	err := l.Listener.Close()
	steerLocked(l.address)
	return err
}

// successor is the listener that takes what l does not answer: the last one of its address that is open. Nil: none is.
func successor(l *listener) *listener {
	groups.Lock()
	defer groups.Unlock()
	if i := openLocked(l.address, l); i >= 0 {
		return groups.byAddress[l.address][i]
	}
	return nil
}

// superseded reports whether another listener is to answer what comes to this one.
func (l *listener) superseded() bool {
	next := successor(l)
	if next == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || next.opened > l.opened // opened, but not closed: Caddy starts the new server first
}

// openLocked is the place of the newest open listener of an address that is not l, or -1.
func openLocked(address string, l *listener) int {
	newest := -1
	group := groups.byAddress[address]
	for i, other := range group {
		other.mu.Lock()
		closed := other.closed
		other.mu.Unlock()
		if !closed && other != l && (newest < 0 || group[newest].opened < other.opened) {
			newest = i
		}
	}
	return newest
}

// steerLocked sends new connections to the newest open listener of an address.
func steerLocked(address string) {
	group := groups.byAddress[address]
	newest := openLocked(address, nil)
	if newest < 0 {
		return
	}
	if err := steer(group[newest].tcp, newest); err != nil {
		group[newest].logger.Warn("connections that arrive during a reload can be lost: the kernel does not steer them; set GODEBUG=multipathtcp=0",
			zap.String("address", address), zap.Error(err))
	}
}
