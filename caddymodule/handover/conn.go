// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// maxHeard is how much of a request is kept for whoever answers it. What firmware asks is a few hundred bytes.
const maxHeard = 1024

// conn is an accepted connection. Until the first byte of an answer it remembers what the client said, so that another
// server can answer; from then on it is a plain connection.
type conn struct {
	*net.TCPConn
	from     *listener
	answered atomic.Bool
	gone     atomic.Bool // it is another server's

	// Of who writes, which is one goroutine:
	gathered []byte // see Gather; nil: what is written goes at once
	buffer   *[]byte

	mu      sync.Mutex
	heard   []byte // what was read, up to maxHeard
	replay  []byte // what another listener's connection heard and the server has not read yet
	reading int    // calls of Read under way
	lost    bool   // it cannot be handed over: too much was heard, or the client has left
}

// Read reads what the client says.
func (c *conn) Read(p []byte) (int, error) {
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	if c.answered.Load() {
		return c.TCPConn.Read(p)
	}
	c.mu.Lock()
	if len(c.replay) > 0 {
		n := copy(p, c.replay)
		c.heard, c.replay = append(c.heard, c.replay[:n]...), c.replay[n:]
		c.mu.Unlock()
		return n, nil
	}
	c.reading++
	c.mu.Unlock()
	n, err := c.TCPConn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading--
	if err != nil || len(c.heard)+n > maxHeard {
		c.lost = true
	} else {
		c.heard = append(c.heard, p[:n]...)
	}
	return n, err
}

// Write writes of an answer.
func (c *conn) Write(p []byte) (int, error) {
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	c.answered.Store(true)
	if c.gather(p) {
		return len(p), nil
	}
	if err := c.writeGathered(); err != nil {
		return 0, err
	}
	return c.TCPConn.Write(p)
}

// ReadFrom writes of an answer what it reads, by sendfile if it comes from a file or a FileSender.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	c.answered.Store(true)
	if err := c.writeGathered(); err != nil {
		return 0, err
	}
	return sendFrom(c.TCPConn, r)
}

// Close closes the connection, or hands it over if it has asked and got no answer although its listener has been
// superseded.
func (c *conn) Close() error {
	if !c.answered.Load() && c.from.superseded() && c.unanswered() {
		c.handOver(c.from)
		return nil
	}
	if c.gone.Load() {
		return net.ErrClosed
	}
	return c.TCPConn.Close()
}

// SetDeadline sets both deadlines, as long as the connection is this server's.
func (c *conn) SetDeadline(t time.Time) error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	return c.TCPConn.SetDeadline(t)
}

// SetReadDeadline is SetDeadline for reading.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	return c.TCPConn.SetReadDeadline(t)
}

// SetWriteDeadline is SetDeadline for writing.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	return c.TCPConn.SetWriteDeadline(t)
}

// unanswered reports whether another server can answer what was asked, and says so once: the connection then is that
// server's. A request that changes something could have been acted upon, so only a GET or a HEAD is repeated.
func (c *conn) unanswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost || c.reading > 0 || !(bytes.HasPrefix(c.heard, []byte("GET ")) || bytes.HasPrefix(c.heard, []byte("HEAD "))) {
		return false
	}
	c.lost = true
	c.gone.Store(true)
	return true
}

// handOver gives the connection to the newest open listener other than l, as it was when it was accepted.
func (c *conn) handOver(l *listener) {
	_ = c.TCPConn.SetDeadline(time.Time{})
	heard := append(c.heard, c.replay...)
	for next := successor(l); next != nil; next = successor(l) {
		if next.take(&conn{TCPConn: c.TCPConn, replay: heard}) {
			return
		}
	}
	_ = c.TCPConn.Close()
}
