// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// line is the way to an origin that is far away: all of its connections share a bandwidth, and every byte is late. It is
// done here and not by tc and netem: netem is a module that many kernels of virtual machines lack, it needs root and a
// network namespace around each server, and it cannot say which bytes have crossed. What is lost by it is TCP's slow
// start over the delay, which would make every new connection of every server a little slower.
type line struct {
	rate  float64       // bytes per second from the origin
	delay time.Duration // one way

	near    atomic.Bool  // no limit and no delay for now, to warm a cache up
	crossed atomic.Int64 // bytes from the origin
	open    atomic.Int64 // connections

	mu   sync.Mutex
	free time.Time // when the line has sent what it was given
}

const (
	// piece is what a connection sends at its turn. Each has one waiting at most, and they go in the order in which they
	// came, so that connections get equal shares.
	piece = 16 << 10
	// window is what may be under way to a client that does not read: twice what fills the line.
	window = 4 << 20
	// catchUp is how late a timer may be before bandwidth is lost.
	catchUp = 10 * time.Millisecond
)

// send returns when n bytes have left the origin.
func (l *line) send(n int) time.Time {
	l.crossed.Add(int64(n))
	now := time.Now()
	if l.near.Load() {
		return now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if earliest := now.Add(-catchUp); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	return l.free
}

func (l *line) late() time.Duration {
	if l.near.Load() {
		return 0
	}
	return l.delay
}

// parcel is what is under way.
type parcel struct {
	bytes []byte
	due   time.Time
}

// farListener accepts connections at the other end of a line.
type farListener struct {
	net.Listener
	line *line
}

func (f farListener) Accept() (net.Conn, error) {
	client, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	here, far := net.Pipe()
	f.line.open.Add(1)
	go f.line.up(client, here) // both end when either side closes
	go f.line.down(here, client)
	return far, nil
}

// up carries what the client says. Its first word comes after the handshake, which takes a round trip.
func (l *line) up(client, here net.Conn) {
	parcels := make(chan parcel, window/piece)
	go func() {
		defer here.Close()
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			_, _ = here.Write(p.bytes) // an error ends down, which closes the client, too
		}
	}()
	defer close(parcels)
	first := 2 * l.late()
	for {
		buffer := make([]byte, piece)
		n, err := client.Read(buffer)
		parcels <- parcel{buffer[:n], time.Now().Add(first + l.late())}
		first = 0
		if err != nil {
			return
		}
	}
}

// down carries what the origin says.
func (l *line) down(here, client net.Conn) {
	parcels := make(chan parcel, window/piece)
	go func() {
		defer l.open.Add(-1)
		defer client.Close()
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			_, _ = client.Write(p.bytes) // an error ends up, which closes here, too
		}
	}()
	defer close(parcels)
	for {
		buffer := make([]byte, piece)
		n, err := here.Read(buffer)
		if n > 0 {
			left := l.send(n)
			time.Sleep(time.Until(left))
			parcels <- parcel{buffer[:n], left.Add(l.late())}
		}
		if err != nil {
			return
		}
	}
}
