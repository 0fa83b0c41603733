// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// expireUnder ends the token's life such that the next n calls all learn of it before one of them can do anything.
func expireUnder(api *ironictest.Server, k *keystone, n int) {
	var arrived atomic.Int32
	together := make(chan struct{})
	k.mu.Lock()
	old := k.token
	k.mu.Unlock()
	k.expire()
	api.RequireToken(func(token string) bool {
		if token == old {
			if arrived.Add(1) == int32(n) {
				close(together)
			}
			<-together
		}
		return k.valid(token)
	})
}

func loggedIn(t *testing.T) (*ironictest.Server, *keystone, *ironic.Client) {
	t.Helper()
	api, k, auth := withKeystone(t, passwordEntry)
	c := newClient(t, ironic.Config{Auth: auth})
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Fatal(err)
	}
	return api, k, c
}

// TestRenewalOutlivesItsCaller lets calls run out of time, one of which asks for a new token. Another, which waits for the
// same token, has time left.
func TestRenewalOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	api, k, c := loggedIn(t)
	const hurried = 10 // the patient call is hardly ever the first
	expireUnder(api, k, hurried+1)
	release := k.hold()
	hasty, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	patient := make(chan error)
	var left sync.WaitGroup
	for range hurried {
		left.Go(func() {
			_, err := c.NodeByMAC(hasty, mac1)
			wantError(t, err, ironic.ErrUnavailable, "timeout")
		})
	}
	go func() {
		_, err := c.NodeByMAC(t.Context(), mac1)
		patient <- err
	}()
	left.Wait()
	release()
	if err := <-patient; err != nil {
		t.Error(err)
	}
	if n := k.requests(); n != 2 {
		t.Errorf("%d requests for a token, want 2", n)
	}
}

// TestFailedRenewalIsShared changes the password in Keystone. One request finds out for all calls under way: a Keystone may
// lock the account of somebody who tries a wrong password often.
func TestFailedRenewalIsShared(t *testing.T) {
	t.Parallel()
	api, k, c := loggedIn(t)
	const many = 16 // as many as have connections
	expireUnder(api, k, many)
	k.fail(http.StatusUnauthorized)
	var calls sync.WaitGroup
	for range many {
		calls.Go(func() {
			_, err := c.NodeByMAC(t.Context(), mac1)
			wantError(t, err, ironic.ErrUnavailable, "unauthorized")
		})
	}
	calls.Wait()
	if n := k.requests(); n != 2 {
		t.Errorf("%d requests for a token, want the first login and one more", n)
	}
	k.fail(0)
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Errorf("with the password back: %v", err)
	}
}

// TestRenewalReadsTheCatalog moves Ironic.
func TestRenewalReadsTheCatalog(t *testing.T) {
	t.Parallel()
	_, k, c := loggedIn(t)
	moved := ironictest.Start(node1())
	t.Cleanup(moved.Close)
	moved.RequireToken(k.valid)
	k.move(moved.URL)
	k.expire()
	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Error(err)
	}
	if n := moved.Calls("node"); n != 1 {
		t.Errorf("%d calls at the new place, want 1", n)
	}
}
