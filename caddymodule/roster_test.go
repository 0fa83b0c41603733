// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// line leads to the stand-in without a network, so that time passes in a bubble only where a test lets it.
type line struct {
	api   *ironictest.Server
	cut   atomic.Bool  // nothing gets through
	delay atomic.Int64 // before an answer
	calls atomic.Int64
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.calls.Add(1)
	if d := l.delay.Load(); d > 0 {
		timer := time.NewTimer(time.Duration(d))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if l.cut.Load() {
		return nil, errors.New("the line is cut")
	}
	w := httptest.NewRecorder()
	l.api.ServeHTTP(w, r)
	return w.Result(), nil
}

// rack is an edge before an Ironic, as far as nodes are found in it.
type rack struct {
	api  *ironictest.Server
	line *line
	part sitePart
	log  *zap.Logger
	h    *Handler
}

func newRack(t *testing.T, part sitePart, nodes ...ironictest.Node) *rack {
	t.Helper()
	r := &rack{api: ironictest.New(nodes...), part: part, log: zap.NewNop()}
	r.line = &line{api: r.api}
	if r.part.interval == 0 {
		r.part.interval = defaultInterval
	}
	return r
}

// start is the start of a process.
func (r *rack) start(t *testing.T) {
	t.Helper()
	client, err := ironic.New(t.Context(), ironic.Config{Endpoint: "http://ironic.test", Wrap: func(http.RoundTripper) http.RoundTripper { return r.line }})
	if err != nil {
		t.Fatal(err)
	}
	site, err := newSite("http://ironic.test")
	if err != nil {
		t.Fatal(err)
	}
	site.client.Store(client)
	r.h = &Handler{client: client, site: site, logger: r.log, metrics: collectors, windows: defaultWindows,
		terms: lookup.Terms[*knownNode]{Value: defaultNodeTTL, Negative: defaultNegativeTTL, Patience: defaultDeadline}}
	r.h.terms.Usable = r.h.usable
	r.h.acquireRoster(&r.part)
	r.h.startRoster()
}

// stop is its orderly end.
func (r *rack) stop(t *testing.T) {
	t.Helper()
	r.h.releaseRoster()
	if err := errors.Join(r.h.site.Destruct(), r.h.client.Close()); err != nil {
		t.Error(err)
	}
}

// kill is its end by kill -9: what is on the disk is what was there before.
func (r *rack) kill(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(r.part.file)
	r.stop(t)
	if err == nil {
		err = os.WriteFile(r.part.file, text, 0o600)
	} else {
		err = os.RemoveAll(r.part.file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rack) ask(ctx context.Context, key string) (lookup.Entry[*knownNode], error) {
	return r.h.node(ctx, key, &r.h.terms)
}

// later lets time go by in the bubble and what it sets off finish.
func later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// inRack runs a test with the demo fleet in a bubble.
func inRack(t *testing.T, part sitePart, test func(t *testing.T, r *rack)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRack(t, part, ironictest.DemoFleet("http://images.test")...)
		r.start(t)
		defer r.stop(t)
		synctest.Wait()
		test(t, r)
	})
}

func demoMAC(n int) string { return fmt.Sprintf("mac 52:54:00:17:00:%02x", n) }

// TestSiteBootsWhileIronicIsGone has machines boot that never booted here before.
func TestSiteBootsWhileIronicIsGone(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		r.line.cut.Store(true)
		later(2 * time.Minute)
		for n, usable := range map[int]bool{1: true, 6: true, 7: false} { // the agent, the local disk, a ramdisk
			for _, key := range []string{demoMAC(n), "uuid " + nodeUUID(n)} {
				e, err := r.ask(t.Context(), key)
				if e.Usable != usable || !outage(err) || usable && e.Value.node.UUID != nodeUUID(n) {
					t.Errorf("%s: usable %v, %v; want %v and an outage", key, e.Usable, err, usable)
				}
			}
		}
		if e, err := r.ask(t.Context(), demoMAC(1)); e.Value.node.Port.Address != "52:54:00:17:00:01" {
			t.Errorf("port %+v, %v", e.Value.node.Port, err)
		}
		later(15 * time.Minute)
		if e, _ := r.ask(t.Context(), demoMAC(1)); e.Usable {
			t.Error("the agent is given after a quarter of an hour")
		}
		if e, _ := r.ask(t.Context(), demoMAC(6)); !e.Usable {
			t.Error("a node that boots its disk is not told so after a quarter of an hour")
		}
	})
}

// TestSiteAsksAsBefore is about what does not change by an inventory: facts are no older than node_ttl while Ironic answers,
// and an unknown MAC is asked for once in negative_ttl.
func TestSiteAsksAsBefore(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		later(2 * defaultNodeTTL)
		r.api.SetProvisionState(nodeUUID(1), "active")
		if e, err := r.ask(t.Context(), demoMAC(1)); err != nil || e.Value.node.ProvisionState != ipxe.Active {
			t.Errorf("%+v, %v; want the state of now", e, err)
		}
		before := r.line.calls.Load()
		for range 3 {
			if _, err := r.ask(t.Context(), "mac 52:54:00:17:00:ff"); !errors.Is(err, ironic.ErrNoNode) {
				t.Errorf("an unknown MAC: %v", err)
			}
		}
		if n := r.line.calls.Load() - before; n != 2 { // ports and portgroups
			t.Errorf("%d calls for an unknown MAC, want 2", n)
		}
	})
}

// TestSiteClosedWindow has an agent report, after which its node's facts are of no use until Ironic has been asked.
func TestSiteClosedWindow(t *testing.T) {
	inRack(t, sitePart{file: filepath.Join(t.TempDir(), "site.json")}, func(t *testing.T, r *rack) {
		later(2 * defaultNodeTTL)
		r.line.cut.Store(true)
		mac, err := ipxe.ParseMAC("52:54:00:17:00:01")
		if err != nil {
			t.Fatal(err)
		}
		r.h.site.forgetAddress(mac)
		r.h.site.forgetNode(nodeUUID(2))
		check := func(when string, usable bool) {
			t.Helper()
			for _, key := range []string{demoMAC(1), "uuid " + nodeUUID(1), demoMAC(2)} {
				if e, err := r.ask(t.Context(), key); e.Usable != usable || !outage(err) {
					t.Errorf("%s, %s: usable %v, %v; want %v and an outage", when, key, e.Usable, err, usable)
				}
			}
			if e, _ := r.ask(t.Context(), demoMAC(6)); !e.Usable {
				t.Errorf("%s: another node is not usable", when)
			}
		}
		check("after the report", false)
		r.kill(t)
		r.start(t)
		later(time.Second)
		check("after a restart", false)
		r.line.cut.Store(false)
		later(2 * defaultInterval)
		r.line.cut.Store(true)
		later(time.Minute)
		check("after Ironic was asked", true)
	})
}

// TestSiteStormIsBounded has a thousand machines ask at once about facts that are older than node_ttl, and more while the answers
// are under way.
func TestSiteStormIsBounded(t *testing.T) {
	const machines = 1000
	nodes := make([]ironictest.Node, machines)
	for i := range nodes {
		nodes[i] = ironictest.Node{UUID: nodeUUID(i + 1), ProvisionState: "wait call-back", ConductorGroup: "rack17",
			DriverInfo: map[string]any{"deploy_kernel": "http://images.test/k", "deploy_ramdisk": "http://images.test/r"},
			Ports:      []ironictest.Port{{Address: fmt.Sprintf("52:54:00:17:%02x:%02x", i/256, i%256)}}}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRack(t, sitePart{scope: ironic.Scope{ConductorGroup: "rack17"}}, nodes...)
		r.start(t)
		defer r.stop(t)
		synctest.Wait()
		before := r.line.calls.Load()
		later(10 * defaultInterval * 13 / 10)
		full := int64(3 + 2 + 1) // pages of nodes and of ports, the last of which are empty; portgroups
		if n := r.line.calls.Load() - before; n > 20+3*full {
			t.Errorf("%d calls in thirteen intervals without a change", n)
		}
		r.line.delay.Store(int64(50 * time.Millisecond))
		for i := range nodes {
			r.api.SetProvisionState(nodes[i].UUID, "active")
		}
		later(2 * defaultNodeTTL)
		r.h.terms.Patience = time.Minute // nobody is content with less
		before = r.line.calls.Load()
		var storm sync.WaitGroup
		for i := range nodes {
			storm.Go(func() {
				time.Sleep(time.Duration(i%10) * 20 * time.Millisecond)
				key := fmt.Sprintf("mac 52:54:00:17:%02x:%02x", i/256, i%256)
				if e, err := r.ask(t.Context(), key); err != nil || e.Value.node.ProvisionState != ipxe.Active {
					t.Errorf("%s: %+v, %v; want the state of now", key, e, err)
				}
			})
		}
		storm.Wait()
		alone := int64(machines / 50)
		if n := r.line.calls.Load() - before; n > 2*alone+2*full {
			t.Errorf("%d calls for %d machines, want no more than %d", n, machines, 2*alone+2*full)
		}
	})
}

// TestSiteStormWhileIronicIsGone is the same during an outage: every machine is answered in time, at a bounded price.
func TestSiteStormWhileIronicIsGone(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		later(time.Minute)
		r.line.delay.Store(int64(time.Hour))
		before, start := r.line.calls.Load(), time.Now()
		var storm sync.WaitGroup
		for i := range 300 {
			storm.Go(func() {
				if e, err := r.ask(t.Context(), demoMAC(1+i%6)); err == nil || !e.Usable && i%6 != 4 {
					t.Errorf("%+v, %v", e, err)
				}
			})
		}
		storm.Wait()
		if d := time.Since(start); d > 2*defaultDeadline {
			t.Errorf("answers took %v", d)
		}
		if n := r.line.calls.Load() - before; n > 2*8 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestSiteInsistenceIsBounded has machines for which nothing old will do ask again and again during an outage.
func TestSiteInsistenceIsBounded(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		later(time.Minute)
		r.line.cut.Store(true)
		later(2 * defaultNodeTTL) // nothing is fresh any more
		before, end := r.line.calls.Load(), time.Now().Add(10*time.Second)
		var machines sync.WaitGroup
		for i := range 30 {
			machines.Go(func() {
				for time.Now().Before(end) {
					if e, err := r.ask(t.Context(), []string{demoMAC(7), demoMAC(8), "uuid " + nodeUUID(7)}[i%3]); err == nil || e.Usable {
						t.Errorf("%+v, %v", e, err)
						return
					}
					time.Sleep(10 * time.Millisecond) // an error may come at once
				}
			})
		}
		machines.Wait()
		// Eight look-ups in five seconds, and a reading each second, with three attempts each.
		if n := r.line.calls.Load() - before; n > 3*(8*3+10) {
			t.Errorf("%d calls in ten seconds", n)
		}
	})
}

// TestTwoSitesOfOneIronic have different nodes.
func TestTwoSitesOfOneIronic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet := ironictest.DemoFleet("http://images.test")
		fleet[5].ConductorGroup = "rack18"
		r := newRack(t, sitePart{scope: ironic.Scope{ConductorGroup: "rack17"}}, fleet...)
		r.start(t)
		defer r.stop(t)
		other := &Handler{client: r.h.client, site: r.h.site, logger: zap.NewNop(), metrics: collectors, windows: defaultWindows, terms: r.h.terms}
		other.acquireRoster(&sitePart{scope: ironic.Scope{ConductorGroup: "rack18"}, interval: defaultInterval})
		other.startRoster()
		defer other.releaseRoster()
		synctest.Wait()
		r.line.cut.Store(true)
		if n := len(r.h.roster.Nodes()); n != len(fleet)-1 {
			t.Errorf("%d nodes in the first site, want %d", n, len(fleet)-1)
		}
		if nodes := other.roster.Nodes(); len(nodes) != 1 || nodes[0].UUID != nodeUUID(6) || nodes[0].Ports[0].Address != "52:54:00:17:00:06" {
			t.Errorf("the second site has %+v", nodes)
		}
		later(time.Minute)
		for h, nodes := range map[*Handler]map[int]bool{r.h: {1: true, 6: false}, other: {1: false, 6: true}} {
			for n, usable := range nodes {
				if e, _ := h.node(t.Context(), demoMAC(n), &h.terms); e.Usable != usable {
					t.Errorf("%s: node %d usable %v, want %v", h.roster.scope, n, e.Usable, usable)
				}
			}
		}
	})
}

// TestRefresh asks for a node of the site out of turn, and never for another.
func TestRefresh(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		later(time.Second)
		r.api.SetProvisionState(nodeUUID(1), "active")
		before := r.line.calls.Load()
		r.h.site.refreshNode(nodeUUID(1))
		r.h.site.refreshNode(nodeUUID(77))
		synctest.Wait()
		if n := r.line.calls.Load() - before; n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		if e, err := r.ask(t.Context(), demoMAC(1)); err != nil || e.Value.node.ProvisionState != ipxe.Active || e.Status != cache.Hit {
			t.Errorf("%+v, %v; want the state of now", e, err)
		}
	})
}
