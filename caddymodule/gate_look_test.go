// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func (g *testedGate) suspect() {
	g.gate.mu.Lock()
	defer g.gate.mu.Unlock()
	g.suspectLocked()
}

// TestGateLooks has a call run out of time: it is looked at once whether Ironic is there, one look at a time and not while it has just
// answered somebody.
func TestGateLooks(t *testing.T) {
	for name, tt := range map[string]struct {
		down           bool
		before, during func(*testing.T, *testedGate) // the look
		looks          int
		shut           bool
	}{
		"it is silent":         {down: true, looks: 1, shut: true},
		"it is slow":           {looks: 1},
		"it has just answered": {down: true, before: answerOne},
		"it answered a while ago": {down: true, looks: 1, shut: true,
			before: func(t *testing.T, g *testedGate) { answerOne(t, g); pass(calmAfterAnswer) }},
		"it answers meanwhile": {down: true, during: answerOne, looks: 1},
		"it was there at a look just before": {down: true, looks: 1, before: func(_ *testing.T, g *testedGate) {
			g.down.Store(false)
			g.suspect()
			pass(g.takes + calmAfterLook - time.Second)
			g.down.Store(true)
		}},
		"it is down already":       {down: true, shut: true, before: func(t *testing.T, g *testedGate) { g.goDown(t) }},
		"questions find out first": {down: true, looks: 1, shut: true, during: func(t *testing.T, g *testedGate) { g.goDown(t) }},
		"a reading failed":         {down: true, looks: 1, shut: true, before: func(_ *testing.T, g *testedGate) { g.learn("all", errRefused) }},
		"a reading was ended":      {down: true, looks: 1, shut: true, before: func(_ *testing.T, g *testedGate) { g.learn("all", context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			inGate(t, func(t *testing.T, g *testedGate) {
				g.takes = 500 * time.Millisecond
				g.down.Store(tt.down)
				if tt.before != nil {
					tt.before(t, g)
				}
				for range 3 {
					g.suspect()
				}
				pass(g.takes / 2)
				if tt.during != nil {
					tt.during(t, g)
				}
				pass(g.takes / 2)
				looks, _ := g.noted()
				if shut := g.gate.down() != nil; len(looks) != tt.looks || shut != tt.shut {
					t.Errorf("%d looks, taken for down: %v; want %d, %v", len(looks), shut, tt.looks, tt.shut)
				}
			})
		})
	}
}

// answerOne has a question answered.
func answerOne(t *testing.T, g *testedGate) {
	t.Helper()
	if err := g.ask(t.Context(), "node", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestGateLearns has readings fail and succeed, of which nobody waits for a turn.
func TestGateLearns(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		g.learn("all", errRefused)
		synctest.Wait()
		if g.gate.down() != nil {
			t.Error("a reading failed, a look did not, and Ironic is taken for down")
		}
		pass(calmAfterLook)
		g.down.Store(true)
		g.learn("all", errors.New("no error of Ironic's"))
		synctest.Wait()
		if looks, _ := g.noted(); len(looks) != 1 || g.gate.down() != nil {
			t.Errorf("%d looks", len(looks))
		}
		g.learn("all", errRefused)
		synctest.Wait()
		if err := g.ask(t.Context(), "node", g.call); reasonOf(err) != reasonDown {
			t.Errorf("a reading and a look failed: %v, want %s", err, reasonDown)
		}
		g.learn("all", errRefused)
		g.learn("all", nil)
		synctest.Wait()
		_, changes := g.noted()
		if g.gate.down() != nil || len(changes) != 2 || !changes[1].up {
			t.Errorf("a reading succeeded: %v, %+v", g.gate.down(), changes)
		}
	})
}

// TestGateHasOneLook has Ironic go down by questions while it is being looked at.
func TestGateHasOneLook(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		g.takes = 10 * firstPause
		g.suspect()
		synctest.Wait()
		g.goDown(t)
		pass(g.takes / 2)
		if looks, _ := g.noted(); len(looks) != 2 {
			t.Errorf("%d looks, want the one for which nothing is waited any more, and the first of the outage", len(looks))
		}
	})
}
