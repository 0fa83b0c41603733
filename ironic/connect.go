// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// session is what all calls share: a login and a microversion. It does not change.
type session struct {
	service *gophercloud.ServiceClient
}

// connection is one attempt to get a session, for which any number of calls may wait.
type connection struct {
	done    chan struct{}
	session *session // valid after done
	err     error
}

// failure is how the last attempt ended, if not well.
type failure struct {
	at  time.Time
	err error
}

// connected returns the session to a call that began at a time. The first call logs in and negotiates the version, others
// wait for it. When it fails, it fails for all calls that had begun by then, also for those that come to wait later, with
// a token that was refused to them: a wrong password is tried once, however many learn of it. The next call tries again.
// The attempt belongs to the client, so that the end of ctx ends the waiting only.
func (c *Client) connected(ctx context.Context, began time.Time) (*session, error) {
	c.mu.Lock()
	if c.session != nil {
		defer c.mu.Unlock()
		return c.session, nil
	}
	if c.connecting == nil && began.Before(c.failed.at) {
		defer c.mu.Unlock()
		return nil, c.failed.err
	}
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	attempt := c.connecting
	if attempt == nil {
		attempt = &connection{done: make(chan struct{})}
		c.connecting = attempt
		// The values of ctx hold the span that the login belongs to.
		values := context.WithoutCancel(ctx)
		c.work.Go(func() { c.connect(values, attempt) })
	}
	c.mu.Unlock()
	select {
	case <-attempt.done:
		return attempt.session, attempt.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect makes one attempt and tells those who wait for it. It ends with Close, or by the timeouts of its steps.
func (c *Client) connect(ctx context.Context, attempt *connection) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closing, cancel)()

	c.mu.Lock()
	service := c.service
	c.mu.Unlock()
	attempt.session, attempt.err = c.open(ctx, &service)
	if attempt.err != nil && c.closing.Err() != nil {
		attempt.err = errClosed
	}

	c.mu.Lock()
	c.service, c.session, c.connecting = service, attempt.session, nil
	c.failed = failure{}
	if attempt.err != nil {
		c.failed = failure{time.Now(), attempt.err}
	}
	c.mu.Unlock()
	close(attempt.done)
}

// open logs in unless *service is logged in already, and asks for the range of versions.
func (c *Client) open(ctx context.Context, service **gophercloud.ServiceClient) (*session, error) {
	if *service == nil {
		err := c.try(ctx, loginOp, func(ctx context.Context) error {
			var err error
			*service, err = c.login(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	const op = "ask Ironic for its API versions"
	versioned := **service
	err := c.try(ctx, op, func(ctx context.Context) error {
		resp, err := versioned.Get(ctx, versioned.Endpoint, nil, nil)
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			// Ironic's own 404 is for a path that it does not have, and must not pass for one for a node.
			return badAnswer(op, "not_ironic", "there is no v1 below this URL; is it that of an Ironic API?")
		}
		if err != nil {
			return err
		}
		versioned.Microversion, err = negotiate(op, resp.Header)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &session{&versioned}, nil
}

var errClosed = &Error{Kind: ErrUnavailable, Op: "connect to Ironic", Reason: "closed", Err: errors.New("the client is closed")}

// disown drops a session whose microversion Ironic no longer takes, as when it was downgraded or pinned for an upgrade, or
// whose token is not good any more. The login goes with the token only.
func (c *Client) disown(s *session, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != s {
		return // another call was first
	}
	c.session = nil
	if status == http.StatusUnauthorized {
		c.service = nil
	}
}
