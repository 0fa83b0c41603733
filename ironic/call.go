// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// attempts is how often a question is put. Three get over a restarted API process or a locked database; more would
	// add to the load of an Ironic in trouble, and the machine that waits asks again by itself.
	attempts = 3
	// firstDelay is the mean wait before the second attempt; it doubles for the third.
	firstDelay = 100 * time.Millisecond
	// longestDelay is the longest Retry-After that is waited for here. The caller learns of a longer one.
	longestDelay = 2 * time.Second
)

// get asks for one resource and returns the answer's body.
func (c *Client) get(ctx context.Context, op, path string) ([]byte, error) {
	var body []byte
	err := c.try(ctx, op, func(ctx context.Context) (err error) {
		body, err = c.ask(ctx, op, path)
		return err
	})
	return body, err
}

// try calls do, which must be safe to repeat, up to three times and no longer than the timeout. A failure that took all
// the time is not repeated, nor one that repeating does not cure, nor a login that was repeated already.
func (c *Client) try(ctx context.Context, op string, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for n := 1; ; n++ {
		err := do(limited)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ended(ctx, op, err)
		}
		e := fault(op, err)
		wait := max(delay(n), e.RetryAfter)
		deadline, _ := limited.Deadline()
		if n == attempts || !passing(e) || e.Op == loginOp && op != loginOp || wait > longestDelay || time.Until(deadline) < wait {
			return e
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-limited.Done():
			timer.Stop()
			return ended(ctx, op, e) // the timeout is later than the wait, so it is the caller who left
		}
	}
}

// ended is the error of a call whose caller may have gone: the caller's own cancellation as such, its deadline as a timeout
// of Ironic's, which took too long for it. Anything else is err.
func ended(ctx context.Context, op string, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Kind: ErrUnavailable, Op: op, Reason: "timeout", Err: ctx.Err()}
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	return err
}

// delay grows with the attempts, and spreads the machines of a rack that asked all at once.
func delay(attempt int) time.Duration {
	mean := firstDelay << (attempt - 1)
	return mean/2 + rand.N(mean)
}

// passing reports whether the next attempt may do better. 409 is how Ironic says that a node is locked.
func passing(e *Error) bool {
	switch e.Reason {
	case "refused", "connection":
		return true
	}
	switch e.Status {
	case http.StatusConflict, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
