// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// apis are the URLs of one Ironic, which may be in trouble of their own: http://api1, http://api2 and so on.
type apis struct {
	all     []*ironictest.Server
	mu      sync.Mutex
	refuse  map[string]bool
	asked   map[string]int // calls that reached, or tried
	refused int
}

func (a *apis) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.asked[r.URL.Host]++
	refuse := a.refuse[r.URL.Host]
	a.mu.Unlock()
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	for n, api := range a.all {
		if r.URL.Host == fmt.Sprint("api", n+1) {
			return inProcess(api.ServeHTTP).RoundTrip(r)
		}
	}
	return nil, errors.New("no such host")
}

func (a *apis) set(host string, refuse bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse[host] = refuse
}

// took returns how often each URL was asked since the last time.
func (a *apis) took() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.asked = map[string]int{} }()
	return fmt.Sprint(a.asked)
}

// inCluster runs a test with so many URLs, each of which knows one node, on a fake clock.
func inCluster(t *testing.T, n int, auth ironic.Auth, test func(t *testing.T, a *apis, c *ironic.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &apis{refuse: map[string]bool{}, asked: map[string]int{}}
		cfg := ironic.Config{Auth: auth, Wrap: func(http.RoundTripper) http.RoundTripper { return a }}
		for i := range n {
			a.all = append(a.all, ironictest.New(node1()))
			if i == 0 {
				cfg.Endpoint = "http://api1"
				continue
			}
			cfg.Others = append(cfg.Others, fmt.Sprint("http://api", i+1))
		}
		c := newClient(t, cfg)
		test(t, a, c)
	})
}

// ask asks and returns how long that took.
func ask(t *testing.T, c *ironic.Client) (time.Duration, error) {
	t.Helper()
	began := time.Now()
	_, err := c.NodeByUUID(t.Context(), uuid1)
	return time.Since(began), err
}

// TestFailover has the first URL in trouble: the second one answers in the same call, and is asked first for a while.
func TestFailover(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault ironictest.Fault
		takes time.Duration
	}{
		"500":      {ironictest.Fault{Status: 500}, 0},
		"503":      {ironictest.Fault{Status: 503, Header: http.Header{"Retry-After": {"600"}}}, 0},
		"refused":  {ironictest.Fault{}, 0},
		"too late": {ironictest.Fault{Delay: time.Hour}, 2500 * time.Millisecond}, // half of the timeout
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, 2, ironic.Auth{}, func(t *testing.T, a *apis, c *ironic.Client) {
				if _, err := ask(t, c); err != nil {
					t.Fatal(err)
				}
				if got := a.took(); got != "map[api1:2]" { // versions and node
					t.Errorf("at first: %s, want the first URL only", got)
				}
				if name == "refused" {
					a.set("api1", true)
				} else {
					a.all[0].Inject(tt.fault)
				}
				if took, err := ask(t, c); err != nil || took != tt.takes {
					t.Errorf("%v after %v, want an answer after %v", err, took, tt.takes)
				}
				if got := a.took(); got != "map[api1:1 api2:2]" {
					t.Errorf("in trouble: %s, want one attempt at the first URL, versions and node at the second", got)
				}
				for range 10 {
					if took, err := ask(t, c); err != nil || took != 0 {
						t.Errorf("%v after %v", err, took)
					}
				}
				if got := a.took(); got != "map[api2:10]" {
					t.Errorf("then: %s, want the second URL only", got)
				}
				time.Sleep(3 * time.Second) // one call of many finds out
				var calls sync.WaitGroup
				for range 10 {
					calls.Go(func() {
						if _, err := ask(t, c); err != nil {
							t.Error(err)
						}
					})
				}
				calls.Wait()
				if got := a.took(); got != "map[api1:1 api2:10]" {
					t.Errorf("after a while: %s, want one attempt at the first URL", got)
				}
				a.all[0].Heal()
				a.set("api1", false)
				time.Sleep(time.Minute)
				for range 10 {
					if _, err := ask(t, c); err != nil {
						t.Error(err)
					}
				}
				if got := a.took(); got != "map[api1:10]" {
					t.Errorf("well again: %s, want the first URL only", got)
				}
			})
		})
	}
}

// TestAnswersAreNoReasonToFailOver has the first URL say no in ways that the second would, too.
func TestAnswersAreNoReasonToFailOver(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 400, 406} {
		inCluster(t, 2, ironic.Auth{}, func(t *testing.T, a *apis, c *ironic.Client) {
			if _, err := ask(t, c); err != nil {
				t.Fatal(err)
			}
			a.all[0].Inject(ironictest.Fault{Path: "/v1/nodes", Status: status, Body: `{"error_message": "no"}`})
			a.took()
			if _, err := ask(t, c); err == nil {
				t.Errorf("%d: no error", status)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.asked["api2"] > 0 {
				t.Errorf("%d: the second URL was asked", status)
			}
		})
	}
}

// TestAllURLsInTrouble has every URL fail: the error is that of Ironic, within the timeout, and all are tried again.
func TestAllURLsInTrouble(t *testing.T) {
	t.Parallel()
	inCluster(t, 3, ironic.Auth{}, func(t *testing.T, a *apis, c *ironic.Client) {
		for n := range 3 {
			a.set(fmt.Sprint("api", n+1), true)
		}
		_, err := ask(t, c)
		wantError(t, err, ironic.ErrUnavailable, "refused")
		if got := a.took(); got != "map[api1:3 api2:3 api3:3]" {
			t.Errorf("%s, want three rounds", got)
		}
		for n := range 3 {
			a.set(fmt.Sprint("api", n+1), false)
			a.all[n].Inject(ironictest.Fault{Delay: time.Hour})
		}
		took, err := ask(t, c)
		wantError(t, err, ironic.ErrUnavailable, "timeout")
		if took != 5*time.Second {
			t.Errorf("it took %v, want the timeout", took)
		}
		a.all[2].Heal()
		if _, err := ask(t, c); err != nil {
			if _, err = ask(t, c); err != nil { // one that is thought to be silent got all the time
				_, err = ask(t, c)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// TestSlowURLs has two that take longer than half of the timeout: neither is given up for good.
func TestSlowURLs(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, ironic.Auth{}, func(t *testing.T, a *apis, c *ironic.Client) {
		if _, err := ask(t, c); err != nil {
			t.Fatal(err)
		}
		for _, api := range a.all {
			api.Inject(ironictest.Fault{Path: "/v1/nodes", Delay: 4 * time.Second})
		}
		_, err := ask(t, c)
		wantError(t, err, ironic.ErrUnavailable, "timeout")
		if took, err := ask(t, c); err != nil || took != 4*time.Second {
			t.Errorf("%v after %v, want an answer after 4s", err, took)
		}
	})
}

// TestEachURLHasItsVersion is about an upgrade, in which the processes of one Ironic speak different versions.
func TestEachURLHasItsVersion(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, ironic.Auth{}, func(t *testing.T, a *apis, c *ironic.Client) {
		a.all[1].SetVersions(1, 82)
		if _, err := ask(t, c); err != nil {
			t.Fatal(err)
		}
		a.set("api1", true)
		if _, err := ask(t, c); err != nil {
			t.Fatal(err)
		}
		for n, want := range []string{"1.115", "1.82"} {
			requests := a.all[n].Requests()
			if got := requests[len(requests)-1].Version; got != want {
				t.Errorf("URL %d was asked in version %s, want %s", n+1, got, want)
			}
		}
	})
}

// TestFailoverKeepsTheLogin has both URLs ask for a password.
func TestFailoverKeepsTheLogin(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, ironic.Auth{Kind: "http_basic", Username: "edge", Password: "x"}, func(t *testing.T, a *apis, c *ironic.Client) {
		for _, api := range a.all {
			api.RequireBasic("edge", "x")
		}
		a.set("api1", true)
		if _, err := ask(t, c); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFailoverEndsWithItsCaller has the caller leave while the first URL is silent.
func TestFailoverEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, ironic.Auth{}, func(t *testing.T, a *apis, c *ironic.Client) {
		if _, err := ask(t, c); err != nil {
			t.Fatal(err)
		}
		a.took()
		a.all[0].Inject(ironictest.Fault{Delay: time.Hour})
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if _, err := c.NodeByUUID(ctx, uuid1); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the caller's own end", err)
		}
		a.all[0].Heal()
		if _, err := ask(t, c); err != nil {
			t.Error(err)
		}
		if got := a.took(); got != "map[api1:2]" {
			t.Errorf("%s; a caller that leaves says nothing about the URL", got)
		}
	})
}

// TestCheck has Ironic in and out of order.
func TestCheck(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
		if err := c.Check(t.Context()); err != nil {
			t.Error(err)
		}
		api.Inject(ironictest.Fault{Path: "/v1/nodes", Status: 500})
		wantError(t, c.Check(t.Context()), ironic.ErrUnavailable, "http_500")
		api.Heal()
		api.Inject(ironictest.Fault{Path: "/v1/nodes", Status: 200, Body: "<html>"})
		wantError(t, c.Check(t.Context()), ironic.ErrBadAnswer, "bad_json")
	})
}

// TestCheckBehindALogin has the API's versions take the time that a call may.
func TestCheckBehindALogin(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, api *ironictest.Server, c *ironic.Client) {
		api.Inject(ironictest.Fault{Delay: 4 * time.Second})
		if err := c.Check(t.Context()); err != nil {
			t.Errorf("Ironic is slow, and there: %v", err)
		}
		api.Heal()
		api.Inject(ironictest.Fault{Delay: time.Hour})
		wantError(t, c.Check(t.Context()), ironic.ErrUnavailable, "timeout")
	})
}
