// SPDX-License-Identifier: Apache-2.0

// Package brokertest is a broker for tests: of AMQP 0-9-1 it does what one consumer of a topic exchange needs, on
// loopback, in this process. What RabbitMQ itself does with that consumer is tested in integration/notify.
package brokertest

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
)

// Broker is a running broker.
type Broker struct {
	Address        string // host:port
	User, Password string // who may connect
	Mute           bool   // it takes clients, answers nothing more and sends heartbeats; set before somebody connects

	tls *tls.Config // nil: none

	mu          sync.Mutex
	listener    net.Listener
	exchanges   map[string]bool
	connections map[*connection]bool
	accepted    int
	running     sync.WaitGroup
}

// Start runs a broker until the test ends.
func Start(t *testing.T, exchanges ...string) *Broker {
	t.Helper()
	return StartTLS(t, nil, exchanges...)
}

// StartTLS is Start with TLS; a nil config is one without.
func StartTLS(t *testing.T, config *tls.Config, exchanges ...string) *Broker {
	t.Helper()
	b := &Broker{User: "edge", Password: "s3cret", tls: config, exchanges: make(map[string]bool), connections: make(map[*connection]bool)}
	for _, name := range exchanges {
		b.exchanges[name] = true
	}
	b.listen(t, "127.0.0.1:0")
	t.Cleanup(func() {
		b.Down()
		b.running.Wait()
	})
	return b
}

func (b *Broker) listen(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if b.tls != nil {
		listener = tls.NewListener(listener, b.tls)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener, b.Address = listener, listener.Addr().String()
	b.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // Down
			}
			b.mu.Lock()
			if b.listener != listener {
				b.mu.Unlock()
				_ = conn.Close()
				return
			}
			c := &connection{broker: b, conn: conn}
			b.connections[c] = true
			b.accepted++
			b.mu.Unlock()
			b.running.Go(c.serve)
		}
	})
}

// Down ends all connections and takes no more.
func (b *Broker) Down() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listener != nil {
		_ = b.listener.Close()
		b.listener = nil
	}
	for c := range b.connections {
		_ = c.conn.Close()
	}
}

// Up takes connections again, at the same address.
func (b *Broker) Up(t *testing.T) {
	t.Helper()
	b.listen(t, b.Address)
}

// Declare makes an exchange.
func (b *Broker) Declare(exchange string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exchanges[exchange] = true
}

// Accepted is how many connections there have been.
func (b *Broker) Accepted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted
}

// Consumers is how many connections hear something.
func (b *Broker) Consumers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for c := range b.connections {
		if c.tag != "" {
			n++
		}
	}
	return n
}

// Waiting is how many connections wait in vain, of a broker that is mute.
func (b *Broker) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for c := range b.connections {
		if c.waits {
			n++
		}
	}
	return n
}

// Unacknowledged is how many messages nobody has acknowledged yet.
func (b *Broker) Unacknowledged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for c := range b.connections {
		n += int(c.sent - c.acknowledged)
	}
	return n
}

// Publish sends a message to whoever hears the routing key at the exchange, and returns to how many.
func (b *Broker) Publish(exchange, key string, body []byte) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for c := range b.connections {
		if c.tag != "" && c.exchange == exchange && matches(c.key, key) {
			c.deliverLocked(exchange, key, body)
			n++
		}
	}
	return n
}

// Cancel ends all consumers as a broker does that deletes their queue.
func (b *Broker) Cancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.connections {
		if c.tag != "" {
			c.send(1, basicCancel, shortString(c.tag), []byte{1})
			c.tag = ""
		}
	}
}

// matches reports whether a key is one that a binding of the form a.b.# takes.
func matches(binding, key string) bool {
	prefix, ok := strings.CutSuffix(binding, ".#")
	return ok && (key == prefix || strings.HasPrefix(key, prefix+"."))
}
