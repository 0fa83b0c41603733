// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// inBubble runs a test in which time passes only when everything waits, against a stand-in without a network.
func inBubble(t *testing.T, test func(t *testing.T, api *ironictest.Server, c *ironic.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := ironictest.New(node1())
		test(t, api, newClient(t, ironic.Config{Endpoint: "http://ironic/v1/", Wrap: func(http.RoundTripper) http.RoundTripper {
			return inProcess(api.ServeHTTP)
		}}))
	})
}

func wantError(t *testing.T, err, kind error, reason string) *ironic.Error {
	t.Helper()
	var e *ironic.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("error %v, want %v (%s)", err, kind, reason)
	}
	return e
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	const secret = "body-with-a-secret"
	for name, tt := range map[string]struct {
		fault  ironictest.Fault
		kind   error
		reason string
		status int
		calls  int // of ports
	}{
		"401":                 {ironictest.Fault{Status: 401, Body: secret}, ironic.ErrUnavailable, "unauthorized", 401, 1},
		"403":                 {ironictest.Fault{Status: 403, Body: secret}, ironic.ErrUnavailable, "forbidden", 403, 1},
		"429":                 {ironictest.Fault{Status: 429, Body: secret}, ironic.ErrUnavailable, "http_429", 429, 3},
		"500":                 {ironictest.Fault{Status: 500, Body: secret}, ironic.ErrUnavailable, "http_500", 500, 3},
		"501":                 {ironictest.Fault{Status: 501, Body: secret}, ironic.ErrUnavailable, "http_501", 501, 1},
		"502":                 {ironictest.Fault{Status: 502, Body: secret}, ironic.ErrUnavailable, "http_502", 502, 3},
		"503":                 {ironictest.Fault{Status: 503, Body: secret}, ironic.ErrUnavailable, "http_503", 503, 3},
		"504":                 {ironictest.Fault{Status: 504, Body: secret}, ironic.ErrUnavailable, "http_504", 504, 3},
		"409":                 {ironictest.Fault{Status: 409, Body: secret}, ironic.ErrUnavailable, "http_409", 409, 3},
		"400":                 {ironictest.Fault{Status: 400, Body: secret}, ironic.ErrBadAnswer, "http_400", 400, 1},
		"404 of another":      {ironictest.Fault{Status: 404, Body: "<html>" + secret}, ironic.ErrBadAnswer, "http_404", 404, 1},
		"404 of an object":    {ironictest.Fault{Status: 404, Body: `{"error": "` + secret + `"}`}, ironic.ErrBadAnswer, "http_404", 404, 1},
		"redirection":         {ironictest.Fault{Status: 302, Header: http.Header{"Location": {"http://elsewhere/"}}}, ironic.ErrBadAnswer, "http_302", 302, 1},
		"no content":          {ironictest.Fault{Status: 204}, ironic.ErrBadAnswer, "http_204", 204, 1},
		"406 again and again": {ironictest.Fault{Status: 406, Body: secret}, ironic.ErrBadAnswer, "http_406", 406, 2},
		"no JSON":             {ironictest.Fault{Status: 200, Body: "<html>" + secret}, ironic.ErrBadAnswer, "bad_json", 0, 1},
		"half JSON":           {ironictest.Fault{Status: 200, Body: `{"ports": [{"address": "` + secret}, ironic.ErrBadAnswer, "bad_json", 0, 1},
		"another JSON":        {ironictest.Fault{Status: 200, Body: `["` + secret + `"]`}, ironic.ErrBadAnswer, "wrong_type", 0, 1},
		"too large":           {ironictest.Fault{Status: 200, Body: strings.Repeat(" ", 9<<20)}, ironic.ErrBadAnswer, "too_large", 0, 1},
		"too late":            {ironictest.Fault{Delay: time.Hour}, ironic.ErrUnavailable, "timeout", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
				tt.fault.Path = "/v1/ports"
				api.Inject(tt.fault)
				began := time.Now()
				_, err := c.NodeByMAC(t.Context(), mac1)
				e := wantError(t, err, tt.kind, tt.reason)
				if e.Status != tt.status {
					t.Errorf("status %d, want %d", e.Status, tt.status)
				}
				if got := api.Calls("ports"); got != tt.calls {
					t.Errorf("%d calls, want %d", got, tt.calls)
				}
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q holds the body", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("took %s, want at most the timeout", took)
				}
				api.Heal()
				if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
					t.Errorf("after the fault: %v", err)
				}
			})
		})
	}
}

func TestAFailureThatPassesIsNotSeen(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/ports", "/v1/nodes", "/v1/"} {
		inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
			api.Inject(ironictest.Fault{Path: path, Times: 2, Status: 503})
			if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
				t.Errorf("two failures of %s: %v", path, err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header string
		calls  int
		wait   time.Duration // at least
		tell   time.Duration
	}{
		"in seconds":       {"1", 3, 2 * time.Second, time.Second},
		"none":             {"", 3, 0, 0},
		"too long to wait": {"30", 1, 0, 30 * time.Second},
		"beyond belief":    {"999999999", 1, 0, time.Hour},
		"a date":           {"Fri, 31 Dec 2027 23:59:59 GMT", 3, 0, 0},
		"negative":         {"-1", 3, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
				api.Inject(ironictest.Fault{Path: "/v1/ports", Status: 503, Header: http.Header{"Retry-After": {tt.header}}})
				began := time.Now()
				_, err := c.NodeByMAC(t.Context(), mac1)
				e := wantError(t, err, ironic.ErrUnavailable, "http_503")
				if took := time.Since(began); took < tt.wait || took > tt.wait+time.Second {
					t.Errorf("took %s, want about %s", took, tt.wait)
				}
				if e.RetryAfter != tt.tell || api.Calls("ports") != tt.calls {
					t.Errorf("retry after %s, %d calls; want %s, %d", e.RetryAfter, api.Calls("ports"), tt.tell, tt.calls)
				}
			})
		})
	}
}

func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"during a call": "/v1/ports", "during the first contact": "/v1/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
				api.Inject(ironictest.Fault{Path: path, Delay: time.Second, Times: 1})
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(100*time.Millisecond, cancel)
				_, err := c.NodeByMAC(ctx, mac1)
				if !errors.Is(err, context.Canceled) || errors.Is(err, ironic.ErrUnavailable) {
					t.Errorf("error %v, want %v and nothing about Ironic", err, context.Canceled)
				}
				if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
					t.Errorf("the next caller: %v", err)
				}
			})
		})
	}
}

// TestCallerHasLessTime checks that a caller's deadline says the same as our own: Ironic took too long.
func TestCallerHasLessTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
		api.Inject(ironictest.Fault{Path: "/v1/ports", Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.NodeByMAC(ctx, mac1)
		wantError(t, err, ironic.ErrUnavailable, "timeout")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v does not hold %v", err, context.DeadlineExceeded)
		}
	})
}

// TestFirstContactIsShared has a rack's worth of callers that come before there is a session: one negotiates for all, and
// an Ironic that is down costs all of them one timeout and not one after the other.
func TestFirstContactIsShared(t *testing.T) {
	t.Parallel()
	const callers = 100
	inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
		api.Inject(ironictest.Fault{Path: "/v1/", Delay: time.Hour, Times: 1})
		var failed atomic.Int32
		all := func() {
			for range callers {
				go func() {
					if _, err := c.NodeByUUID(t.Context(), uuid1); err != nil {
						failed.Add(1)
					}
				}()
			}
			synctest.Wait()
		}
		began := time.Now()
		all()
		if _, err := c.NodeByUUID(t.Context(), uuid1); err == nil {
			t.Fatal("no error while Ironic hangs")
		}
		synctest.Wait()
		if took := time.Since(began); failed.Load() != callers || took != 5*time.Second {
			t.Errorf("%d failed after %s, want %d after 5s", failed.Load(), took, callers)
		}
		all()
		if failed.Load() != callers || api.Calls("v1") != 2 {
			t.Errorf("%d failed and %d negotiations, want %d and 2", failed.Load(), api.Calls("v1"), callers)
		}
	})
}

func TestRefusedAndDropped(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	if _, err := c.NodeByUUID(t.Context(), uuid1); err != nil {
		t.Fatal(err)
	}
	api.Inject(ironictest.Fault{Drop: true})
	_, err := c.NodeByUUID(t.Context(), uuid1)
	wantError(t, err, ironic.ErrUnavailable, "connection")
	api.Heal()
	api.Stop()
	_, err = c.NodeByUUID(t.Context(), uuid1)
	wantError(t, err, ironic.ErrUnavailable, "refused")
	if err := api.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.NodeByUUID(t.Context(), uuid1); err != nil {
		t.Errorf("after its return: %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
		api.Inject(ironictest.Fault{Path: "/v1/", Delay: time.Hour})
		time.AfterFunc(time.Second, func() { c.Close() })
		_, err := c.NodeByUUID(t.Context(), uuid1)
		wantError(t, err, ironic.ErrUnavailable, "closed")
		_, err = c.NodeByUUID(t.Context(), uuid1)
		wantError(t, err, ironic.ErrUnavailable, "closed")
	})
}
