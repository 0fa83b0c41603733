// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// wanted is what a node gets.
type wanted struct {
	status int
	reason string
	wait   time.Duration // at most; with exactly, that long
	exact  bool
}

const deadline = defaultDeadline

// TestTroubles is the table of docs/operating.md: what is wrong with Ironic by what is known of the node.
func TestTroubles(t *testing.T) {
	t.Parallel()
	fresh := wanted{200, "", 0, true}
	for name, tt := range map[string]struct {
		trouble                  trouble
		stale, unusable, unknown wanted
		down                     bool // it is taken for down after a few of these
	}{
		"refused":    {refused, wanted{200, reasonStale, deadline, false}, wanted{503, reasonUnavailable, deadline, false}, wanted{503, reasonUnavailable, deadline, false}, true},
		"black hole": {blackHole, wanted{200, reasonStale, deadline, true}, wanted{503, reasonSlow, deadline, true}, wanted{503, reasonSlow, deadline, true}, true},
		"slow":       {slowBy(10 * time.Second), wanted{200, reasonStale, deadline, true}, wanted{503, reasonSlow, deadline, true}, wanted{503, reasonSlow, deadline, true}, true},
		"500":        {answering(500, "oops"), wanted{200, reasonStale, deadline, false}, wanted{503, reasonUnavailable, deadline, false}, wanted{503, reasonUnavailable, deadline, false}, true},
		"401":        {answering(401, "no"), wanted{200, reasonStale, 0, true}, wanted{503, reasonUnavailable, 0, true}, wanted{503, reasonUnavailable, 0, true}, true},
		"garbage":    {answering(200, "<html>"), wanted{200, reasonStale, 0, true}, wanted{200, reasonBadAnswer, 0, true}, wanted{200, reasonBadAnswer, 0, true}, false},
		"cut off":    {cutOff, wanted{200, reasonStale, deadline, false}, wanted{503, reasonUnavailable, deadline, false}, wanted{503, reasonUnavailable, deadline, false}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				check := func(what string, got got, want wanted) {
					t.Helper()
					if got.status != want.status || got.header.Get(reasonHeader) != want.reason || got.waited > want.wait || want.exact && got.waited != want.wait {
						t.Errorf("%s: %d %q after %v, want %d %q after %v\n%s", what, got.status, got.header.Get(reasonHeader), got.waited,
							want.status, want.reason, want.wait, got.body)
					}
					n, err := strconv.Atoi(got.header.Get("Retry-After"))
					if (got.status == 503) != (err == nil && n >= 1 && n <= 30) || (got.status == 503) != (got.header.Get("Connection") == "close") {
						t.Errorf("%s: %d with Retry-After %q, Connection %q", what, got.status, got.header.Get("Retry-After"), got.header.Get("Connection"))
					}
					if stale := strings.Contains(got.body, "this is what it said"); stale != (want.reason == reasonStale) {
						t.Errorf("%s: a script that says it is old: %v\n%s", what, stale, got.body)
					}
				}
				for _, n := range []int{2, 6, 7} { // the agent, the local disk, a ramdisk instance
					if got := b.script(t, n); got.status != 200 {
						t.Fatalf("node %d: %d", n, got.status)
					}
				}
				b.suffer(tt.trouble)
				for _, n := range []int{2, 6, 7} {
					check("fresh", b.script(t, n), fresh)
				}
				pass(time.Minute)
				again := func() { // the trouble begins anew, and is not known
					b.heal()
					pass(time.Minute)
					b.suffer(tt.trouble)
				}
				check("stale, the agent", b.script(t, 2), tt.stale)
				again()
				check("stale, the local disk", b.script(t, 6), tt.stale)
				again()
				check("stale and not usable", b.script(t, 7), tt.unusable)
				again()
				check("not known", b.script(t, 1), tt.unknown)
				again()

				var group sync.WaitGroup
				for n := range maxFailures {
					group.Go(func() { b.script(t, 100+n) })
				}
				group.Wait()
				pass(2 * defaultTimeout)
				up := func() float64 { return gauge(t, collectors.up.WithLabelValues(b.handler.site.name)) }
				if !tt.down {
					if up() != 1 {
						t.Error("an Ironic that answers is taken for down")
					}
					return
				}
				if up() != 0 {
					t.Error("ironic_up is not 0")
				}
				calls := b.calls.Load()
				check("stale, Ironic is known to be down", b.script(t, 2), wanted{200, reasonStale, 0, true})
				check("not usable, Ironic is known to be down", b.script(t, 7), wanted{503, reasonUnavailable, 0, true})
				check("not known, Ironic is known to be down", b.script(t, 1), wanted{503, reasonUnavailable, 0, true})
				if b.calls.Load() != calls {
					t.Error("an Ironic that is down was asked for a node")
				}
				b.heal()
				pass(longestPause*5/4 + 5*time.Second) // a look that is under way ends, and the next one comes
				if up() != 1 {
					t.Error("ironic_up is not 1")
				}
				check("afterwards", b.script(t, 1), fresh)
				check("afterwards", b.script(t, 7), fresh)
			})
		})
	}
}

// TestSlowIronicIsAskedToTheEnd has an Ironic that takes ten seconds for each of two calls, and a timeout that allows it. A
// machine that obeys Retry-After has its script when it comes back first after the answer, though that is older than node_ttl.
func TestSlowIronicIsAskedToTheEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *Handler) { h.Ironic.Timeout = caddy.Duration(15 * time.Second) }, func(t *testing.T, b *bubble) {
		var looks atomic.Int64 // which waiting in vain gives rise to, and which show that it is there
		slow := slowBy(10 * time.Second)
		b.suffer(func(b *bubble, r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.RawQuery, "limit=1&") || strings.HasSuffix(r.URL.RawQuery, "limit=1") {
				looks.Add(1)
			}
			return slow(b, r)
		})
		for _, n := range []int{1, 7} {
			start := time.Now()
			got := b.script(t, n)
			for ; got.status == 503 && time.Since(start) < time.Minute; got = b.script(t, n) {
				if got.waited > deadline {
					t.Fatalf("503 %s after %v", got.header.Get(reasonHeader), got.waited)
				}
				seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
				if err != nil {
					t.Fatal(err)
				}
				pass(time.Duration(seconds) * time.Second)
			}
			// Two calls, and for the first node a timeout before them, in which the API's versions were asked for. After each of the
			// two a machine is three seconds away, or about to be, at most.
			if took := time.Since(start); got.status != 200 || got.header.Get(reasonHeader) != "" || took > 15*time.Second+20*time.Second+2*(deadline+3*time.Second) {
				t.Errorf("node %d: %d %s after %v", n, got.status, got.header.Get(reasonHeader), took)
			}
		}
		if calls := b.calls.Load() - looks.Load(); calls != 6 {
			t.Errorf("%d calls and %d looks, want those for two nodes, one for the versions and one that ran out of time behind that", calls, looks.Load())
		}
	})
}

// TestClientRate has one address ask for many nodes that are not known, and others beside it.
func TestClientRate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(h *Handler) { h.ClientRate = 2 }, func(t *testing.T, b *bubble) {
		for n := range 10 {
			if got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(100+n), "192.0.2.1"); got.status != 404 {
				t.Fatalf("request %d: %d", n, got.status)
			}
		}
		calls := b.calls.Load()
		got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(110), "192.0.2.1")
		if n, err := strconv.Atoi(got.header.Get("Retry-After")); got.status != 503 || got.header.Get(reasonHeader) != reasonClientRate || err != nil || n < 1 {
			t.Errorf("one too many: %d %s, Retry-After %q", got.status, got.header.Get(reasonHeader), got.header.Get("Retry-After"))
		}
		if b.calls.Load() != calls {
			t.Error("it has reached Ironic")
		}
		if got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(100), "192.0.2.1"); got.status != 404 {
			t.Errorf("what is known: %d", got.status)
		}
		if got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(110), "192.0.2.2"); got.status != 404 {
			t.Errorf("another address: %d", got.status)
		}
		pass(500 * time.Millisecond)
		if got := b.ask(t, "/pxelinux.cfg/"+nodeMAC(111), "192.0.2.1"); got.status != 404 {
			t.Errorf("half a second later: %d", got.status)
		}
	})
}

// TestStormIsBounded has many more nodes ask at once than may wait.
func TestStormIsBounded(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.suffer(slowBy(350 * time.Millisecond))
		b.script(t, 1) // the versions of the API
		pass(3 * time.Second)
		b.calls.Store(0)
		const nodes = 1000
		var mu sync.Mutex
		reasons := make(map[string]int)
		var group sync.WaitGroup
		for n := range nodes {
			group.Go(func() {
				got := b.ask(t, fmt.Sprintf("/pxelinux.cfg/52-54-00-77-%02x-%02x", n>>8, n&255), "")
				mu.Lock()
				defer mu.Unlock()
				reasons[fmt.Sprint(got.status, " ", got.header.Get(reasonHeader))]++
			})
		}
		synctest.Wait()
		if calls := b.calls.Load(); calls != maxUnderWay {
			t.Errorf("%d calls at once, want %d", calls, maxUnderWay)
		}
		group.Wait()
		if full := reasons["503 "+reasonQueue]; full != nodes-maxUnderWay-maxWaiting || reasons["404 no_node"] != maxUnderWay ||
			reasons["503 "+reasonSlow] != maxWaiting {
			t.Errorf("answers: %v", reasons)
		}
		pass(time.Minute)
		if calls, want := b.calls.Load(), int64(2*(maxUnderWay+maxWaiting)); calls != want { // ports and portgroups
			t.Errorf("%d calls in all, want %d", calls, want)
		}
	})
}

// gauge reads a metric.
func gauge(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%d metrics: %v", len(families), err)
	}
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

// TestRetryAfter draws what a 503 says, with its bounds for each reason.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reason        string
		known, limit  time.Duration
		atLeast, most int
	}{
		"not known":                   {reasonUnavailable, 0, 0, 3, 7},
		"slow":                        {reasonSlow, 0, 0, 1, 3},
		"known":                       {reasonUnavailable, 12 * time.Second, 0, 12, 16},
		"known to be soon":            {reasonUnavailable, time.Second, 0, 3, 7},
		"known to be late":            {reasonUnavailable, time.Hour, 0, 25, 29},
		"starting":                    {reasonStarting, 0, 0, 1, 1},
		"iPXE waits no longer":        {reasonQueue, 0, 4 * time.Second, 2, 2},
		"iPXE hardly waits":           {reasonQueue, 0, time.Second, 1, 1},
		"iPXE waits longer than that": {reasonQueue, 0, time.Minute, 5, 14},
		"a reason without a pause":    {"another", 0, 0, 1, 1},
	} {
		h := new(Handler)
		h.options.Timeout = tt.limit
		seen := make(map[int]bool)
		for range 1000 {
			n, err := strconv.Atoi(h.retryAfter(tt.reason, tt.known))
			if err != nil || n < tt.atLeast || n > tt.most {
				t.Fatalf("%s: %d, %v; want from %d to %d seconds", name, n, err, tt.atLeast, tt.most)
			}
			seen[n] = true
		}
		if len(seen) != tt.most-tt.atLeast+1 {
			t.Errorf("%s: %d values, want them spread from %d to %d", name, len(seen), tt.atLeast, tt.most)
		}
	}
}
