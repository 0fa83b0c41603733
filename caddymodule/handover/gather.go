// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"net"
)

// connKey is the key of a connection in its requests' contexts.
type connKey struct{}

// ConnContext puts a connection into its requests' contexts, where Sends and Gather look for it. It is a ConnContext of
// http.Server.
func ConnContext(ctx context.Context, connection net.Conn) context.Context {
	c, ours := connection.(*conn)
	if !ours || connOf(ctx) == c {
		return ctx
	}
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// Gathered are the writes of a connection since Gather. The zero value is none.
type Gathered struct{ c *conn }

// Gather has an HTTP/1 request's connection keep what is written until Write: net/http writes an answer's header and the
// first bytes of its body before the rest, which costs server and client as much again as the one write that a small
// answer needs. It is for one goroutine, and for no more than fits into a buffer; what does not is written at once.
func Gather(ctx context.Context) Gathered {
	c := connOf(ctx)
	if c == nil || c.gathered != nil {
		return Gathered{}
	}
	c.buffer = buffers.Get().(*[]byte)
	c.gathered = (*c.buffer)[:0]
	return Gathered{c}
}

// Write writes what was gathered. From then on the connection writes at once again.
func (g Gathered) Write() error {
	if g.c == nil {
		return nil
	}
	gathered, buffer := g.c.gathered, g.c.buffer
	g.c.gathered, g.c.buffer = nil, nil
	defer buffers.Put(buffer)
	if len(gathered) == 0 {
		return nil
	}
	_, err := g.c.TCPConn.Write(gathered)
	return err
}

// gather keeps what fits, if anything is to be kept.
func (c *conn) gather(p []byte) bool {
	if c.gathered == nil || len(c.gathered)+len(p) > cap(c.gathered) {
		return false
	}
	c.gathered = append(c.gathered, p...)
	return true
}

// writeGathered writes what has been kept so far, before something that does not fit.
func (c *conn) writeGathered() error {
	if len(c.gathered) == 0 {
		return nil
	}
	_, err := c.TCPConn.Write(c.gathered)
	c.gathered = c.gathered[:0]
	return err
}
