// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// IdleError ends a body of which nothing has come for too long.
type IdleError struct{ After time.Duration }

func (e *IdleError) Error() string { return fmt.Sprintf("the body made no progress for %s", e.After) }

// Timeout reports true, as net.Error's method does for a connection that has timed out.
func (e *IdleError) Timeout() bool { return true }

var errLonger = errors.New("the body is longer than its part")

const (
	// maxDrain is how much of an unwanted rest is read so that its connection can be used again: over a long line that
	// costs less than a new handshake. It may take drainTime.
	maxDrain  = 64 << 10
	drainTime = time.Second
)

// body is an answer's body, which knows how long it must be. Reading and closing may happen at the same time: closing
// then ends the connection.
type body struct {
	ctx    context.Context // of the request, which is the body's, too
	cancel context.CancelCauseFunc
	from   io.ReadCloser
	line   *Line
	idle   time.Duration
	timer  *time.Timer // runs while a read does; ends the context
	last   bool        // of its connection

	mu   sync.Mutex // held while one reads
	left int64      // what must still come; -1: not known
	err  error      // how the body has ended
}

func (c *Client) newBody(ctx context.Context, cancel context.CancelCauseFunc, response *http.Response) *body {
	b := &body{
		ctx: ctx, cancel: cancel, from: response.Body, line: c.cfg.Line, idle: c.cfg.IdleBody, last: response.Close,
		left: response.ContentLength,
	}
	b.timer = time.AfterFunc(b.idle, func() { cancel(&IdleError{b.idle}) })
	b.timer.Stop()
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.readLocked(b.line.limit(p))
	b.line.wait(b.ctx, n)
	return n, err
}

func (b *body) readLocked(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.ctx.Err() != nil { // the connection may have bytes that had come before
		b.err = context.Cause(b.ctx)
		return 0, b.err
	}
	if b.left == 0 {
		// net/http counts for a Content-Length, but not for the chunks of a part whose Content-Range gives its length.
		p = p[:1] // what a Read may use as it likes
	} else if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	b.timer.Reset(b.idle)
	n, err := b.from.Read(p)
	b.timer.Stop()
	if b.left == 0 && n > 0 {
		b.err = errLonger
		return 0, b.err
	}
	if b.left > 0 {
		b.left -= int64(n)
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && b.left > 0:
		b.err = io.ErrUnexpectedEOF
	case !errors.Is(err, io.EOF) && b.ctx.Err() != nil:
		b.err = context.Cause(b.ctx) // whatever the connection says of it
	default:
		b.err = withoutURL(err)
	}
	return n, b.err
}

// Close gives the connection back if little is left to read, else closes it.
func (b *body) Close() error {
	if b.mu.TryLock() {
		b.drainLocked()
		if b.err == nil {
			b.err = errClosed
		}
		b.mu.Unlock()
	} else {
		b.cancel(context.Canceled) // somebody waits in Read
	}
	err := b.from.Close()
	b.cancel(context.Canceled)
	return err
}

func (b *body) drainLocked() {
	if b.err != nil || b.last || b.left > maxDrain {
		return
	}
	// Also ends the context of a body that has ended by itself; by then nobody looks at it.
	timer := time.AfterFunc(drainTime, func() { b.cancel(context.Canceled) })
	defer timer.Stop()
	buffer := make([]byte, 8<<10)
	for rest := maxDrain; rest > 0 && b.err == nil; {
		n, _ := b.readLocked(b.line.limit(buffer))
		b.line.spend(n)
		rest -= n
	}
}

var errClosed = errors.New("the body is closed")
