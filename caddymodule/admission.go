// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// admission bounds the transfers of images: how many there are at once, and how fast each client gets its own. It
// belongs to a store, so that a reload does not start counting anew.
//
// A machine that boots from an ISO over HTTP reads it by thousands of small ranges, one at a time. It has not come to an
// end between two of them, and one that is refused is the end of its boot: a block has fifteen seconds in all (iPXE's
// SAN_COMMAND_TIMEOUT), and not all firmware comes back. So who was given a range keeps its place for a while, and takes
// it up with the next request.
type admission struct {
	mu      sync.Mutex
	active  int // transfers, and places that are kept
	clients map[string]*client
	sweepAt int // how many clients it takes to look for those that have gone
}

// client is one that is being served, or was a short time ago.
type client struct {
	transfers int
	kept      []time.Time // until when places are kept for it, in this order
	limiter   *rate.Limiter
}

const (
	// paceStep is how much a paced client gets at a time.
	paceStep = 64 << 10
	// keepPlace is how long a place is kept: a boot loader's menu between two reads.
	keepPlace = 30 * time.Second
	// leastClients is how many clients are always worth remembering.
	leastClients = 64
)

// enter lets a transfer begin. False: there are too many; the client is to come back. leave ends it. A HEAD is no
// transfer.
func (a *admission) enter(r *http.Request, most int, pace int64) (limiter *rate.Limiter, leave func(), ok bool) {
	if r.Method == http.MethodHead {
		return nil, func() {}, true
	}
	host := clientHost(r)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.clients[host]; c != nil && c.takePlace(now) {
		a.active-- // it is this transfer's now
	} else if most > 0 && a.active >= most {
		if a.sweepLocked(now); a.active >= most {
			return nil, nil, false
		}
	}
	a.active++
	if most == 0 && pace == 0 { // counted all the same: the next configuration may have a limit
		return nil, func() { a.leave(nil, false) }, true
	}
	c := a.clientLocked(host, now)
	c.transfers++
	if pace > 0 {
		if c.limiter == nil {
			c.limiter = rate.NewLimiter(rate.Limit(pace), paceStep)
		}
		c.limiter.SetLimit(rate.Limit(pace))
		limiter = c.limiter
	}
	keep := most > 0 && len(r.Header["Range"]) > 0
	return limiter, func() { a.leave(c, keep) }, true
}

func (a *admission) clientLocked(host string, now time.Time) *client {
	c := a.clients[host]
	if c != nil {
		return c
	}
	if len(a.clients) >= max(a.sweepAt, leastClients) {
		a.sweepLocked(now)
		a.sweepAt = 2 * len(a.clients)
	}
	if a.clients == nil {
		a.clients = make(map[string]*client)
	}
	c = new(client)
	a.clients[host] = c
	return c
}

func (a *admission) leave(c *client, keep bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c != nil {
		c.transfers--
	}
	if keep {
		c.kept = append(c.kept, time.Now().Add(keepPlace))
		return
	}
	a.active--
}

// takePlace gives a client a place that was kept for it, the newest one: others of those behind its address may have
// gone.
func (c *client) takePlace(now time.Time) bool {
	last := len(c.kept) - 1
	if last < 0 || now.After(c.kept[last]) {
		return false
	}
	c.kept = c.kept[:last]
	return true
}

// sweepLocked ends the places that were kept long enough, and forgets the clients that have gone and owe nothing.
func (a *admission) sweepLocked(now time.Time) {
	for host, c := range a.clients {
		before := len(c.kept)
		c.kept = slices.DeleteFunc(c.kept, now.After)
		a.active -= before - len(c.kept)
		if c.transfers == 0 && len(c.kept) == 0 && (c.limiter == nil || c.limiter.TokensAt(now) >= paceStep) {
			delete(a.clients, host)
		}
	}
}

// pacedWriter writes no faster than its limiter lets it: some network cards hang when an image comes too fast.
type pacedWriter struct {
	http.ResponseWriter
	ctx     context.Context
	limiter *rate.Limiter
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), paceStep)
		if err := w.limiter.WaitN(w.ctx, n); err != nil {
			return written, err
		}
		m, err := w.ResponseWriter.Write(p[:n])
		written += m
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// ReadFrom writes what r has, piece by piece.
func (w *pacedWriter) ReadFrom(r io.Reader) (int64, error) {
	written := int64(0)
	for {
		if err := w.limiter.WaitN(w.ctx, paceStep); err != nil {
			return written, err
		}
		n, err := io.Copy(w.ResponseWriter, io.LimitReader(r, paceStep))
		written += n
		if n < paceStep || err != nil {
			return written, err
		}
	}
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
