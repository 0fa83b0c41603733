// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestSiteReportDuringAReading has an agent report while everything is being read: what was asked for before is closed.
func TestSiteReportDuringAReading(t *testing.T) {
	inRack(t, sitePart{}, func(t *testing.T, r *rack) {
		later(time.Second)
		r.line.delay.Store(int64(3 * time.Second))
		full := r.line.calls.Load()
		for r.line.calls.Load() == full {
			later(time.Second)
		}
		r.h.site.forgetNode(nodeUUID(1))
		later(10 * time.Second)
		r.line.cut.Store(true)
		for n, usable := range map[int]bool{1: false, 6: true} {
			if e, err := r.ask(t.Context(), demoMAC(n)); e.Usable != usable || err == nil {
				t.Errorf("node %d: usable %v, %v; want %v", n, e.Usable, err, usable)
			}
		}
	})
}

// TestSiteRestored restarts within node_ttl: another process's word is not fresh, by whatever clock.
func TestSiteRestored(t *testing.T) {
	inRack(t, sitePart{file: filepath.Join(t.TempDir(), "site.json")}, func(t *testing.T, r *rack) {
		later(20 * time.Minute) // since when some address was not read
		r.kill(t)
		r.line.cut.Store(true)
		r.start(t)
		e, err := r.ask(t.Context(), demoMAC(6))
		if err == nil || !e.Usable || e.Status != cache.Stale {
			t.Errorf("%+v, %v; want old facts, as such", e, err)
		}
		later(24*time.Hour - 8*time.Minute) // the address was read some minutes before the end
		if e, _ := r.ask(t.Context(), "uuid "+nodeUUID(6)); e.Usable && e.Age > 24*time.Hour {
			t.Errorf("usable at the age of %v", e.Age)
		}
		later(10 * time.Minute)
		if e, _ := r.ask(t.Context(), demoMAC(6)); e.Usable {
			t.Errorf("usable at the age of %v", e.Age)
		}
	})
}

// TestSiteNotRestored starts with snapshots that are of no use.
func TestSiteNotRestored(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(t *testing.T, r *rack)
		about  string
	}{
		"damaged": {func(t *testing.T, r *rack) { rewrite(t, r.part.file, "rack17-n06", "rack17-n66") }, "checksum"},
		"of another version": {func(t *testing.T, r *rack) { rewrite(t, r.part.file, `"version":1`, `"version":9`) },
			"version 9"},
		"of another site": {func(_ *testing.T, r *rack) { r.part.identity = "another" }, "another site"},
		"old":             {func(*testing.T, *rack) { later(25 * time.Hour) }, "was written"},
	} {
		t.Run(name, func(t *testing.T) {
			inRack(t, sitePart{file: filepath.Join(t.TempDir(), "site.json"), identity: "this"}, func(t *testing.T, r *rack) {
				r.stop(t)
				r.line.cut.Store(true)
				tt.change(t, r)
				core, logs := observer.New(zapcore.WarnLevel)
				r.log = zap.New(core)
				r.start(t)
				if e, err := r.ask(t.Context(), demoMAC(6)); e.Value != nil || err == nil {
					t.Errorf("%+v, %v; want nothing", e.Value, err)
				}
				said := logs.FilterField(zap.String("snapshot", r.part.file)).All()
				if len(said) != 1 || !strings.Contains(said[0].ContextMap()["error"].(string), tt.about) {
					t.Errorf("the log says %v, want one line about %q", said, tt.about)
				}
			})
		})
	}
}

func rewrite(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(text), from) {
		err = errors.New("no " + from)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSiteLearns is about what Ironic says when it is asked for one node: all names of the node go by it, and an address
// that has gone to another.
func TestSiteLearns(t *testing.T) {
	inRack(t, sitePart{scope: ironic.Scope{ConductorGroup: "rack17"}}, func(t *testing.T, r *rack) {
		later(2 * defaultNodeTTL)
		r.api.SetProvisionState(nodeUUID(1), "active")
		if _, err := r.ask(t.Context(), "uuid "+nodeUUID(1)); err != nil {
			t.Fatal(err)
		}
		move := func(address, from string, to ironictest.Node) {
			r.api.Update(from, func(n *ironictest.Node) { n.Ports = nil })
			to.ProvisionState, to.Ports = "active", []ironictest.Port{{Address: address}}
			r.api.SetNode(to)
			if e, err := r.ask(t.Context(), "mac "+address); err != nil || e.Value.node.UUID != to.UUID {
				t.Errorf("%s: %+v, %v", address, e.Value, err)
			}
		}
		move("52:54:00:17:00:06", nodeUUID(6), ironictest.Node{UUID: nodeUUID(50), ConductorGroup: "elsewhere"})
		if owner := r.h.roster.Owner("52:54:00:17:00:06"); owner != "" {
			t.Errorf("an address that went elsewhere is %s's", owner)
		}
		r.api.Remove(nodeUUID(2))
		for _, key := range []string{"uuid " + nodeUUID(2), demoMAC(2)} {
			if _, err := r.ask(t.Context(), key); !errors.Is(err, ironic.ErrNoNode) {
				t.Errorf("%s: %v", key, err)
			}
		}
		r.api.Update(nodeUUID(3), func(n *ironictest.Node) { n.Ports = nil })
		if _, err := r.ask(t.Context(), demoMAC(3)); !errors.Is(err, ironic.ErrNoNode) {
			t.Errorf("an address that is gone: %v", err)
		}
		r.line.cut.Store(true)
		later(2 * defaultNodeTTL)
		if e, _ := r.ask(t.Context(), demoMAC(1)); !e.Usable || e.Value.node.ProvisionState != ipxe.Active {
			t.Errorf("by its address the node is %+v; want what was said of its UUID", e.Value.node)
		}
		for _, key := range []string{demoMAC(2), "uuid " + nodeUUID(2), demoMAC(3)} {
			if e, err := r.ask(t.Context(), key); e.Usable || err == nil {
				t.Errorf("%s: %+v; it is gone", key, e.Value)
			}
		}
	})
}

// TestSiteOtherInterval is about a reload that makes the interval shorter: it is not waited for the old one's end.
func TestSiteOtherInterval(t *testing.T) {
	inRack(t, sitePart{interval: time.Hour}, func(t *testing.T, r *rack) {
		later(time.Minute)
		next := &Handler{client: r.h.client, site: r.h.site, logger: r.log, metrics: collectors, windows: defaultWindows, terms: r.h.terms}
		next.acquireRoster(&sitePart{interval: defaultInterval})
		if next.roster != r.h.roster {
			t.Fatal("the same part has another inventory")
		}
		before := r.line.calls.Load()
		next.startRoster()
		later(time.Minute)
		if r.line.calls.Load() == before {
			t.Error("the nodes are not read at the new interval")
		}
		next.releaseRoster()
		synctest.Wait()
		before = r.line.calls.Load()
		later(20 * time.Minute)
		if n := r.line.calls.Load() - before; n > 0 {
			t.Errorf("%d calls in a part of the old interval", n)
		}
	})
}

// TestSiteLog wants the log to say when the nodes were read first, when Ironic cannot be asked, and when it can again.
func TestSiteLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRack(t, sitePart{}, ironictest.DemoFleet("http://images.test")...)
		core, logs := observer.New(zapcore.InfoLevel)
		r.log = zap.New(core)
		r.start(t)
		defer r.stop(t)
		later(time.Hour)
		r.line.cut.Store(true)
		later(time.Hour)
		r.line.cut.Store(false)
		later(time.Hour)
		var said []string
		for _, l := range logs.All() {
			said = append(said, l.Level.String()+" "+l.Message[:len("the site's nodes have been")])
		}
		want := "info the site's nodes are being,info the site's nodes have been,warn the site's nodes cannot be,info the site's nodes have been"
		for _, w := range strings.Split(want, ",") {
			if len(said) == 0 || !strings.HasPrefix(said[0], w) {
				t.Fatalf("the log goes on with %q, want %q", said, w)
			}
			said = said[1:]
		}
		if len(said) > 0 {
			t.Errorf("the log goes on with %q", said)
		}
	})
}
