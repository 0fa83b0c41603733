// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// endpoint is one URL of Ironic's API.
type endpoint struct {
	client  *Client
	url     string // ends in /v1/; empty: where Keystone's catalog says
	session *shared[session]

	// Guarded by Client.health.
	failures int       // in a row
	failed   time.Time // the last time
	until    time.Time // before that it is asked after all others; zero: it is well
}

// The pauses before an endpoint that failed is asked again before others: the first one doubles up to the longest.
const (
	firstAvoidance   = 2 * time.Second
	longestAvoidance = 30 * time.Second
)

func (c *Client) newEndpoint(url string) *endpoint {
	e := &endpoint{client: c, url: url}
	e.session = &shared[session]{client: c, ask: e.open}
	return e
}

// ask puts a question to the endpoints, one after the other, until one answers, and returns the answer's body.
func (c *Client) ask(ctx context.Context, op, path string) ([]byte, error) {
	endpoints, well := c.order(time.Now())
	for i, e := range endpoints {
		body, err := e.askWithin(ctx, op, path, max(1, well-i))
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return body, err // the caller has left
		}
		silent := err != nil && isSilent(fault(op, err))
		c.learn(e, silent)
		deadline, limited := ctx.Deadline()
		if !silent || ctx.Err() != nil || limited && time.Until(deadline) <= 0 || i == len(endpoints)-1 {
			return body, err // what is asked without any time left would only be thought to be silent
		}
	}
	panic("unreachable: there is an endpoint")
}

// order returns the endpoints in the order in which they are to be asked, those that have failed lately last, and the number
// of the others. When an endpoint's pause is over, one call finds out how it is.
func (c *Client) order(now time.Time) ([]*endpoint, int) {
	if len(c.endpoints) == 1 {
		return c.endpoints, 1
	}
	c.health.Lock()
	defer c.health.Unlock()
	var well, failed []*endpoint
	for _, e := range c.endpoints {
		if now.Before(e.until) {
			failed = append(failed, e)
			continue
		}
		if len(well) == 0 && e.failures > 0 {
			e.until = now.Add(c.timeout) // until the call has found out
		}
		well = append(well, e)
	}
	slices.SortStableFunc(failed, func(a, b *endpoint) int { return a.failed.Compare(b.failed) }) // each in turn
	return append(well, failed...), len(well)
}

// learn keeps in mind whether an endpoint has answered.
func (c *Client) learn(e *endpoint, silent bool) {
	c.health.Lock()
	defer c.health.Unlock()
	if !silent {
		e.failures, e.until = 0, time.Time{}
		return
	}
	mean := longestAvoidance
	if e.failures < 4 {
		mean = min(mean, firstAvoidance<<e.failures)
	}
	e.failures++
	e.failed = time.Now()
	e.until = e.failed.Add(mean*3/4 + rand.N(mean/2))
}

// isSilent reports whether an endpoint gave no answer, so that another may: it could not be reached, or said of itself that
// it is broken. A refusal is an answer, and the login has nothing to do with the endpoint.
func isSilent(e *Error) bool {
	if e.Op == loginOp || e.Kind != ErrUnavailable {
		return false
	}
	switch e.Reason {
	case "refused", "timeout", "dns", "tls", "connection":
		return true
	}
	return e.Status >= http.StatusInternalServerError
}

// askWithin asks within a share of the time that is left.
func (e *endpoint) askWithin(ctx context.Context, op, path string, shares int) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if shares == 1 || !ok {
		return e.ask(ctx, op, path)
	}
	limited, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
	defer cancel()
	return e.ask(limited, op, path)
}

// ask puts a question to this endpoint. The login or the microversion is renewed, each once, when Ironic does not take it
// any more.
func (e *endpoint) ask(ctx context.Context, op, path string) ([]byte, error) {
	began := time.Now()
	renewable := map[int]bool{http.StatusUnauthorized: e.client.renewable, http.StatusNotAcceptable: true}
	for {
		s, err := e.session.get(ctx, began)
		if err != nil {
			return nil, err
		}
		body, err := s.get(ctx, path)
		if err == nil {
			return body, nil
		}
		refused := fault(op, err)
		if !renewable[refused.Status] {
			return nil, refused
		}
		renewable[refused.Status] = false
		e.disown(s, refused.Status)
	}
}

// get makes one request.
func (s *session) get(ctx context.Context, path string) ([]byte, error) {
	resp, err := s.service.Get(ctx, s.service.Endpoint+path, nil, &gophercloud.RequestOpts{KeepResponseBody: true})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
