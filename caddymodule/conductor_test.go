// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// slowConductor has a script with a password for each node, after a while.
type slowConductor struct {
	takes atomic.Int64
	calls atomic.Int64
}

const conductorsScript = "#!ipxe\nset username edge\nset password s3cret\nsanhook --drive 0x80 iscsi:a\n"

func (c *slowConductor) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	select {
	case <-time.After(time.Duration(c.takes.Load())):
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(conductorsScript)), Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// inConductorsBubble is inBubble with a conductor that takes two seconds, and node 9 that boots from a volume with CHAP.
func inConductorsBubble(t *testing.T, serve string, test func(t *testing.T, b *bubble, c *slowConductor)) {
	t.Helper()
	inBubble(t, func(h *Handler) { h.ConductorHTTP, h.Serve = "http://conductor.test", serve }, func(t *testing.T, b *bubble) {
		c := new(slowConductor)
		c.takes.Store(int64(2 * time.Second))
		b.handler.origin = &http.Client{Transport: c}
		b.api.Update(nodeUUID(9), func(n *ironictest.Node) {
			n.Volumes[0].Properties["auth_method"], n.Volumes[0].Properties["auth_username"], n.Volumes[0].Properties["auth_password"] = "CHAP", "edge", "x"
		})
		test(t, b, c)
	})
}

// TestSlowConductor has scripts that take the conductor. No machine waits longer than answer_deadline; who comes back when he was told
// to gets what was asked for meanwhile, and nobody else does.
func TestSlowConductor(t *testing.T) {
	t.Parallel()
	const one, other = "192.0.2.1", "192.0.2.2"
	slow := func(t *testing.T, what string, got got, waited time.Duration) {
		t.Helper()
		n, err := strconv.Atoi(got.header.Get("Retry-After"))
		if got.status != 503 || got.header.Get(reasonHeader) != reasonConductor || got.waited != waited || err != nil || n < 1 || n > 3 {
			t.Errorf("%s: %d %q after %v, Retry-After %q; want 503 %s after %v", what, got.status, got.header.Get(reasonHeader), got.waited, got.header.Get("Retry-After"), reasonConductor, waited)
		}
		if strings.Contains(got.body, "s3cret") {
			t.Errorf("%s: the refusal has the password", what)
		}
	}
	for _, serve := range []string{"edge", "conductor"} {
		t.Run(serve, func(t *testing.T) {
			t.Parallel()
			inConductorsBubble(t, serve, func(t *testing.T, b *bubble, c *slowConductor) {
				ask := func(address string) got { t.Helper(); return b.ask(t, "/pxelinux.cfg/"+nodeMAC(9), address) }
				given := func(what string, got got, calls int64) {
					t.Helper()
					if got.status != 200 || !strings.Contains(got.body, "set password s3cret\n") || got.waited > deadline {
						t.Errorf("%s: %d after %v\n%s", what, got.status, got.waited, got.body)
					}
					if n := c.calls.Load(); n != calls {
						t.Errorf("%s: %d calls, want %d", what, n, calls)
					}
				}
				kept := func(what string, want int) {
					t.Helper()
					x := &b.handler.site.conductor
					x.mu.Lock()
					defer x.mu.Unlock()
					if len(x.byKey) != want || (x.bytes > 0) != (want > 0) {
						t.Errorf("%s: %d scripts are kept, %d bytes; want %d", what, len(x.byKey), x.bytes, want)
					}
				}
				slow(t, "at first", ask(one), deadline)
				pass(3*time.Second - deadline)
				kept("after the answer", 1)
				slow(t, "another machine", ask(other), deadline)
				given("who comes back", ask(one), 2)
				slow(t, "and once more", ask(one), deadline)
				pass(lateLife + 2*time.Second)
				kept("when nobody came back", 0)

				b.suffer(slowBy(deadline / 8)) // which is part of the wait
				pass(2 * defaultNodeTTL)
				slow(t, "Ironic takes a part of the time", ask(one), deadline)
				pass(time.Minute)
				b.suffer(slowBy(time.Hour))
				if got := ask(one); got.header.Get(reasonHeader) != reasonSlow || got.waited != deadline {
					t.Errorf("Ironic takes all of the time: %q after %v", got.header.Get(reasonHeader), got.waited)
				}
				b.heal()
				pass(time.Minute)

				c.takes.Store(int64(10 * time.Second))
				for range 5 {
					slow(t, "it has no answer in time", ask(one), deadline)
					pass(2 * time.Second)
				}
				pass(time.Minute)
				kept("when all is over", 0)
			})
		})
	}
}

// TestConductorCallsAreBounded has many machines ask, and go before the conductor answers.
func TestConductorCallsAreBounded(t *testing.T) {
	t.Parallel()
	inConductorsBubble(t, "conductor", func(t *testing.T, b *bubble, c *slowConductor) {
		var mu sync.Mutex
		reasons := make(map[string]int)
		storm := func() {
			var group sync.WaitGroup
			for n := range 3 * maxConductorScripts {
				group.Go(func() {
					got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(9), fmt.Sprintf("192.0.2.%d", n))
					mu.Lock()
					defer mu.Unlock()
					reasons[fmt.Sprint(got.status, " ", got.header.Get(reasonHeader))]++
				})
			}
			group.Wait()
		}
		c.takes.Store(int64(4 * time.Second))
		storm()
		storm()
		if n := c.calls.Load(); n != maxConductorScripts || reasons["503 "+reasonConductor] != 6*maxConductorScripts {
			t.Errorf("%d calls, answers: %v", n, reasons)
		}
		pass(time.Minute)
		c.takes.Store(0)
		clear(reasons)
		storm()
		if reasons["200 "] < maxConductorScripts {
			t.Errorf("afterwards: %v", reasons)
		}
	})
}
