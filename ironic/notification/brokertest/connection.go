// SPDX-License-Identifier: Apache-2.0

package brokertest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"time"
)

// method is the class and number of a method (amqp0-9-1.xml).
type method struct{ class, id uint16 }

var (
	connectionStart   = method{10, 10}
	connectionStartOK = method{10, 11}
	connectionTune    = method{10, 30}
	connectionOpen    = method{10, 40}
	connectionOpenOK  = method{10, 41}
	connectionClose   = method{10, 50}
	connectionCloseOK = method{10, 51}
	channelOpen       = method{20, 10}
	channelOpenOK     = method{20, 11}
	channelClose      = method{20, 40}
	channelCloseOK    = method{20, 41}
	queueDeclare      = method{50, 10}
	queueDeclareOK    = method{50, 11}
	queueBind         = method{50, 20}
	queueBindOK       = method{50, 21}
	basicQos          = method{60, 10}
	basicQosOK        = method{60, 11}
	basicConsume      = method{60, 20}
	basicConsumeOK    = method{60, 21}
	basicCancel       = method{60, 30}
	basicDeliver      = method{60, 60}
	basicAck          = method{60, 80}
)

const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8
	frameEnd       = 0xCE
	frameMax       = 4096
)

// connection is one client. Broker.mu guards what is written below it.
type connection struct {
	broker *Broker
	conn   net.Conn

	tag, exchange, key string
	sent, acknowledged uint64
	waits              bool
}

func (c *connection) serve() {
	defer func() {
		_ = c.conn.Close()
		c.broker.mu.Lock()
		defer c.broker.mu.Unlock()
		delete(c.broker.connections, c)
	}()
	in := bufio.NewReader(c.conn)
	if _, err := io.CopyN(io.Discard, in, 8); err != nil { // "AMQP" and the version
		return
	}
	c.lockedSend(0, connectionStart, []byte{0, 9}, longString(""), longString("PLAIN"), longString("en_US"))
	for {
		var head [7]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		if head[0] != frameMethod {
			continue // a heartbeat
		}
		m := method{binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])}
		if !c.answer(binary.BigEndian.Uint16(head[1:]), m, arguments(payload[4:])) {
			return
		}
	}
}

// answer does what a method asks for. It reports whether the connection goes on.
func (c *connection) answer(channel uint16, m method, a arguments) bool {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	switch m {
	case connectionStartOK:
		a.longString() // a table
		a.shortString()
		if a.longString() != "\x00"+c.broker.User+"\x00"+c.broker.Password {
			return false
		}
		c.send(0, connectionTune, []byte{0, 10, 0, 0, frameMax >> 8, frameMax & 0xff, 0, 60})
	case connectionOpen:
		c.send(0, connectionOpenOK, shortString(""))
	case connectionClose:
		c.send(0, connectionCloseOK)
		return false
	case channelOpen:
		if c.broker.Mute {
			c.waits = true
			c.broker.running.Go(c.beat)
			return true
		}
		c.send(channel, channelOpenOK, longString(""))
	case channelClose:
		c.send(channel, channelCloseOK)
	case queueDeclare:
		c.send(channel, queueDeclareOK, shortString("amq.gen-1"), make([]byte, 8))
	case queueBind:
		a.skip(2)
		a.shortString()
		c.exchange, c.key = a.shortString(), a.shortString()
		if !c.broker.exchanges[c.exchange] {
			c.send(channel, channelClose, []byte{404 >> 8, 404 & 0xff}, shortString("NOT_FOUND - no exchange"), make([]byte, 4))
			return true
		}
		c.send(channel, queueBindOK)
	case basicQos:
		c.send(channel, basicQosOK)
	case basicConsume:
		a.skip(2)
		a.shortString()
		c.tag = a.shortString()
		c.send(channel, basicConsumeOK, shortString(c.tag))
	case basicAck:
		c.acknowledged++
	}
	return true
}

// beat keeps a client waiting, until it is gone.
func (c *connection) beat() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.conn.Write([]byte{frameHeartbeat, 0, 0, 0, 0, 0, 0, frameEnd}); err != nil {
			return
		}
	}
}

func (c *connection) deliverLocked(exchange, key string, body []byte) {
	c.sent++
	c.send(1, basicDeliver, shortString(c.tag), binary.BigEndian.AppendUint64(nil, c.sent), []byte{0}, shortString(exchange), shortString(key))
	header := binary.BigEndian.AppendUint64([]byte{0, 60, 0, 0}, uint64(len(body)))
	c.frame(frameHeader, 1, append(header, 0, 0))
	for part := range slices.Chunk(body, frameMax-8) {
		c.frame(frameBody, 1, part)
	}
}

func (c *connection) lockedSend(channel uint16, m method, arguments ...[]byte) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	c.send(channel, m, arguments...)
}

func (c *connection) send(channel uint16, m method, arguments ...[]byte) {
	payload := binary.BigEndian.AppendUint16(nil, m.class)
	payload = binary.BigEndian.AppendUint16(payload, m.id)
	c.frame(frameMethod, channel, append(payload, slices.Concat(arguments...)...))
}

// frame writes a frame. Where it fails the reader ends, too.
func (c *connection) frame(kind byte, channel uint16, payload []byte) {
	out := binary.BigEndian.AppendUint16([]byte{kind}, channel)
	out = binary.BigEndian.AppendUint32(out, uint32(len(payload)))
	_, _ = c.conn.Write(append(append(out, payload...), frameEnd))
}

func shortString(s string) []byte { return append([]byte{byte(len(s))}, s...) }
func longString(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

// arguments are those of a method, read from the front.
type arguments []byte

func (a *arguments) skip(n int) { *a = (*a)[n:] }

func (a *arguments) shortString() string { return a.take(1, int((*a)[0])) }
func (a *arguments) longString() string  { return a.take(4, int(binary.BigEndian.Uint32(*a))) }

func (a *arguments) take(prefix, n int) string {
	s := string((*a)[prefix : prefix+n])
	a.skip(prefix + n)
	return s
}
