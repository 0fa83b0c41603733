// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"io"
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// admission bounds the transfers of images: how many there are at once, and how fast each client gets its own. It
// belongs to a store, so that a reload does not start counting anew.
type admission struct {
	mu      sync.Mutex
	active  int
	clients map[string]*client
}

// client is one that is being served.
type client struct {
	transfers int
	limiter   *rate.Limiter
}

// paceStep is how much a paced client gets at a time.
const paceStep = 64 << 10

// enter lets a transfer begin. False: there are too many; the client is to come back. leave ends it.
func (a *admission) enter(r *http.Request, most int, pace int64) (limiter *rate.Limiter, leave func(), ok bool) {
	host := clientHost(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if most > 0 && a.active >= most {
		return nil, nil, false
	}
	a.active++
	if pace > 0 {
		if a.clients == nil {
			a.clients = make(map[string]*client)
		}
		c := a.clients[host]
		if c == nil {
			c = &client{limiter: rate.NewLimiter(rate.Limit(pace), paceStep)}
			a.clients[host] = c
		}
		c.limiter.SetLimit(rate.Limit(pace))
		c.transfers++
		limiter = c.limiter
	}
	return limiter, func() { a.leave(host, limiter != nil) }, true
}

func (a *admission) leave(host string, paced bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.active--
	if !paced {
		return
	}
	c := a.clients[host]
	if c.transfers--; c.transfers == 0 {
		delete(a.clients, host)
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
