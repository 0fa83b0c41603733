// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"slices"
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

	wake    chan struct{}
	mu      sync.Mutex
	senders []*sender
}

const (
	// piece is what a connection sends at its turn.
	piece = 16 << 10
	// window is what may be under way to a client that does not read: twice what fills the line.
	window = 4 << 20
	// sendBuffer is what a connection holds ready, as a kernel does: the server may be late for its turn.
	sendBuffer = 1 << 20
)

// sender is the origin's side of a connection.
type sender struct {
	ready chan []byte // what is to be sent
	out   chan parcel // what is under way
	gone  atomic.Bool // the client is: what is ready is not sent
}

// run gives the connections that have something to send their turns. The clock is the line's: that this runs late, on a
// machine that is busy with servers and clients, loses no bandwidth as long as there is something to send.
func (l *line) run(stop <-chan struct{}) {
	var free time.Time // when the line has sent what it was given
	for idle := true; ; {
		l.mu.Lock()
		senders := slices.Clone(l.senders)
		l.mu.Unlock()
		if now := time.Now(); idle && free.Before(now) {
			free = now
		}
		idle = true
		for _, s := range senders {
			if len(s.out) == cap(s.out) {
				continue // the client does not read
			}
			select {
			case bytes, ok := <-s.ready:
				if !ok {
					l.remove(s)
					continue
				}
				idle = false
				if s.gone.Load() {
					continue
				}
				l.crossed.Add(int64(len(bytes)))
				if !l.near.Load() {
					free = free.Add(time.Duration(float64(len(bytes)) / l.rate * float64(time.Second)))
				}
				time.Sleep(time.Until(free))
				s.out <- parcel{bytes, free.Add(l.late())}
			default:
			}
		}
		if idle {
			select {
			case <-stop:
				return
			case <-l.wake:
			}
		}
	}
}

func (l *line) remove(s *sender) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.senders = slices.DeleteFunc(l.senders, func(o *sender) bool { return o == s })
	close(s.out)
}

// look makes run look for something to send.
func (l *line) look() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
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
	s := &sender{ready: make(chan []byte, sendBuffer/piece), out: make(chan parcel, window/piece)}
	l.mu.Lock()
	l.senders = append(l.senders, s)
	l.mu.Unlock()
	go func() {
		defer client.Close()
		for p := range s.out {
			time.Sleep(time.Until(p.due))
			if _, err := client.Write(p.bytes); err != nil {
				s.gone.Store(true) // up sees it, too, and closes here
			}
			l.look()
		}
	}()
	defer l.look()
	defer close(s.ready)
	for {
		buffer := make([]byte, piece)
		n, err := here.Read(buffer)
		if n > 0 {
			s.ready <- buffer[:n]
			l.look()
		}
		if err != nil {
			return
		}
	}
}
