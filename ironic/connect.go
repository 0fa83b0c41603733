// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// session is what all calls to an endpoint share: a login and a microversion. It does not change.
type session struct {
	service *gophercloud.ServiceClient
	login   *gophercloud.ServiceClient
}

// shared is what all calls need and has to be asked for: the login, or an endpoint's session.
type shared[T any] struct {
	client *Client
	ask    func(ctx context.Context, began time.Time) (*T, error)

	mu      sync.Mutex
	value   *T          // nil until there is one
	asking  *attempt[T] // under way, or nil
	failed  error       // of the last attempt
	failure time.Time   // when that was
}

// attempt is one for which any number of calls may wait.
type attempt[T any] struct {
	done  chan struct{}
	value *T // valid after done
	err   error
}

// get returns the value to a call that began at a time. The first call asks for it, others wait. When it fails, it fails for
// all calls that had begun by then, also for those that come to wait later, with a token that was refused to them: a wrong
// password is tried once, however many learn of it. The next call tries again. The attempt belongs to the client, so that
// the end of ctx ends the waiting only.
func (s *shared[T]) get(ctx context.Context, began time.Time) (*T, error) {
	s.mu.Lock()
	if s.value != nil {
		defer s.mu.Unlock()
		return s.value, nil
	}
	if s.asking == nil && began.Before(s.failure) {
		defer s.mu.Unlock()
		return nil, s.failed
	}
	a := s.asking
	if a == nil {
		a = &attempt[T]{done: make(chan struct{})}
		values := context.WithoutCancel(ctx) // which hold the span that this belongs to
		if !s.client.background(func() { s.try(values, began, a) }) {
			s.mu.Unlock()
			return nil, errClosed
		}
		s.asking = a
	}
	s.mu.Unlock()
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// known reports whether there is a value.
func (s *shared[T]) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value != nil
}

// try makes one attempt and tells those who wait for it. It ends with Close, or by the timeout.
func (s *shared[T]) try(ctx context.Context, began time.Time, a *attempt[T]) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	defer context.AfterFunc(s.client.closing, cancel)()
	a.value, a.err = s.ask(ctx, began)
	if a.err != nil && s.client.closing.Err() != nil {
		a.err = errClosed
	}
	s.mu.Lock()
	s.value, s.asking = a.value, nil
	s.failed, s.failure = a.err, time.Time{}
	if a.err != nil {
		s.failure = time.Now()
	}
	s.mu.Unlock()
	close(a.done)
}

// disown drops a value that is not good any more, unless another call was first.
func (s *shared[T]) disown(value *T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == value {
		s.value = nil
	}
}

// background runs what Close waits for, and reports whether it does.
func (c *Client) background(do func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.work.Go(do)
	}
	return !c.closed
}

// logIn asks for a login, more than once if need be: the calls that wait for it do not repeat it.
func (c *Client) logIn(ctx context.Context, _ time.Time) (*gophercloud.ServiceClient, error) {
	var login *gophercloud.ServiceClient
	err := c.try(ctx, loginOp, func(ctx context.Context) error {
		var err error
		login, err = c.authenticate(ctx)
		return err
	})
	return login, err
}

// open logs in unless that is done, and asks an endpoint for its range of versions.
func (e *endpoint) open(ctx context.Context, began time.Time) (*session, error) {
	login, err := e.client.login.get(ctx, began)
	if err != nil {
		return nil, err
	}
	const op = "ask Ironic for its API versions"
	versioned := *login
	if e.url != "" {
		versioned.Endpoint = e.url
	}
	resp, err := versioned.Get(ctx, versioned.Endpoint, nil, nil)
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		// Ironic's own 404 is for a path that it does not have, and must not pass for one for a node.
		return nil, badAnswer(op, "not_ironic", "there is no v1 below this URL; is it that of an Ironic API?")
	}
	if err != nil {
		return nil, fault(op, err)
	}
	if versioned.Microversion, err = negotiate(op, resp.Header); err != nil {
		return nil, err
	}
	return &session{&versioned, login}, nil
}

var errClosed = &Error{Kind: ErrUnavailable, Op: "connect to Ironic", Reason: "closed", Err: errors.New("the client is closed")}

// disown drops a session whose microversion Ironic no longer takes, as when it was downgraded or pinned for an upgrade, or
// whose token is not good any more. The login goes with the token only.
func (e *endpoint) disown(s *session, status int) {
	e.session.disown(s)
	if status == http.StatusUnauthorized {
		e.client.login.disown(s.login)
	}
}
