// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
)

// testedGate is a gate before an Ironic that is down or not, and notes what happens.
type testedGate struct {
	*gate
	down    atomic.Bool
	looking atomic.Int32
	takes   time.Duration // of a look

	noting  sync.Mutex
	looks   []time.Time
	changes []ironicChange
}

func (g *testedGate) note(what func()) {
	g.noting.Lock()
	defer g.noting.Unlock()
	what()
}

// noted returns the looks and the changes until now.
func (g *testedGate) noted() ([]time.Time, []ironicChange) {
	g.noting.Lock()
	defer g.noting.Unlock()
	return slices.Clone(g.looks), slices.Clone(g.changes)
}

var errRefused = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "ask", Reason: "refused"}

func inGate(t *testing.T, test func(t *testing.T, g *testedGate)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := new(testedGate)
		g.gate = newGate(func(ctx context.Context) error {
			if g.looking.Add(1) > 1 {
				t.Error("two looks at a time")
			}
			defer g.looking.Add(-1)
			g.note(func() { g.looks = append(g.looks, time.Now()) })
			select {
			case <-time.After(g.takes):
			case <-ctx.Done():
				return ctx.Err()
			}
			return g.call(ctx)
		}, func(c ironicChange) { g.note(func() { g.changes = append(g.changes, c) }) })
		defer g.close()
		test(t, g)
	})
}

// call is a question, which is answered at once.
func (g *testedGate) call(context.Context) error {
	if g.down.Load() {
		return errRefused
	}
	return nil
}

// goDown has as many questions fail as it takes.
func (g *testedGate) goDown(t *testing.T) {
	t.Helper()
	g.gate.mu.Lock()
	was := g.gate.back != nil
	g.gate.mu.Unlock()
	g.down.Store(true)
	for n := range maxFailures {
		if err := g.ask(t.Context(), fmt.Sprint("node ", n), g.call); was || !errors.Is(err, errRefused) {
			t.Fatalf("question %d: %v", n, err)
		}
	}
	synctest.Wait()
}

func reasonOf(err error) string {
	var e *ironic.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

// TestGateWhileDown has nobody ask an Ironic that is down, but one look at a time, ever less often.
func TestGateWhileDown(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		g.takes = 3 * time.Second
		start := time.Now()
		g.goDown(t)
		asked := false
		err := g.ask(t.Context(), "node", func(context.Context) error { asked = true; return nil })
		var e *ironic.Error
		if !errors.As(err, &e) || e.Reason != "down" || e.RetryAfter < time.Second || asked || !time.Now().Equal(start) {
			t.Errorf("asked: %v, %v after %v, Retry-After %v", asked, err, time.Since(start), e.RetryAfter)
		}
		pass(10 * time.Minute)
		last := start
		looks, _ := g.noted()
		for n, look := range looks {
			pause := look.Sub(last)
			if n > 0 {
				pause -= g.takes
			}
			mean := min(firstPause<<n, longestPause)
			if pause < mean*3/4 || pause > mean*5/4 {
				t.Errorf("look %d after %v, want %v or a quarter more or less", n, pause, mean)
			}
			last = look
		}
		if len(looks) < 15 {
			t.Errorf("%d looks in ten minutes", len(looks))
		}
		g.down.Store(false)
		pass(longestPause*5/4 + g.takes)
		if err := g.ask(t.Context(), "node", g.call); err != nil {
			t.Error(err)
		}
		if _, changes := g.noted(); len(changes) != 2 || changes[0].up || !errors.Is(changes[0].err, errRefused) || !changes[1].up ||
			changes[1].lasted < 10*time.Minute || changes[1].lasted > 11*time.Minute {
			t.Errorf("changes: %+v", changes)
		}
	})
}

// TestGateSlowStart has many ask an Ironic that has just come back.
func TestGateSlowStart(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		g.goDown(t)
		g.down.Store(false)
		pass(2 * firstPause)
		var under, most atomic.Int32
		var group sync.WaitGroup
		for n := range 100 {
			group.Go(func() {
				err := g.ask(t.Context(), fmt.Sprint(n), func(context.Context) error {
					if now := under.Add(1); now > most.Load() {
						most.Store(now)
					}
					time.Sleep(time.Second)
					under.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		for _, want := range []int32{2, 4, 8, 16, 32, 32} {
			synctest.Wait()
			if got := under.Load(); got != want {
				t.Errorf("%d at once, want %d", got, want)
			}
			time.Sleep(time.Second)
		}
		group.Wait()
		if most.Load() != maxUnderWay {
			t.Errorf("%d at once at most, want %d", most.Load(), maxUnderWay)
		}
	})
}

// TestGateThatFlaps looks well and answers no question: the pauses grow all the same.
func TestGateThatFlaps(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		for n := range 8 {
			g.goDown(t)
			g.down.Store(false) // for looks
			from := time.Now()
			for back := false; !back; {
				pass(100 * time.Millisecond)
				_, changes := g.noted()
				back = changes[len(changes)-1].up
			}
			if took, mean := time.Since(from), min(firstPause<<n, longestPause); took < mean*3/4 {
				t.Errorf("outage %d lasted %v, want %v or a quarter less", n, took, mean)
			}
		}
		if err := g.ask(t.Context(), "node", g.call); err != nil {
			t.Fatal(err)
		}
		before, _ := g.noted()
		g.goDown(t)
		pass(firstPause * 5 / 4)
		if after, _ := g.noted(); len(after) != len(before)+1 {
			t.Errorf("%d looks within %v, want one: the outage before is over", len(after)-len(before), firstPause*5/4)
		}
	})
}

func TestGateOneBadNodeIsNoOutage(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		broken := &ironic.Error{Kind: ironic.ErrUnavailable, Op: "ask", Reason: "http_500", Status: 500}
		for range 10 * maxFailures {
			if err := g.ask(t.Context(), "one node", func(context.Context) error { return broken }); !errors.Is(err, broken) {
				t.Fatal(err)
			}
		}
		for range 10 * maxFailures {
			_ = g.ask(t.Context(), "one node", func(context.Context) error { return context.Canceled })
			_ = g.ask(t.Context(), "a bad one", func(context.Context) error { return &ironic.Error{Kind: ironic.ErrBadAnswer} })
		}
		if err := g.ask(t.Context(), "another", g.call); err != nil {
			t.Error(err)
		}
		for n := range maxFailures {
			_ = g.ask(t.Context(), fmt.Sprint(n), func(context.Context) error { return broken })
		}
		if err := g.ask(t.Context(), "another", g.call); reasonOf(err) != "down" {
			t.Errorf("after %d nodes: %v, want down", maxFailures, err)
		}
	})
}

// TestGateQueue has questions wait, leave, find no place, and be sent away.
func TestGateQueue(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		release, failing := make(chan struct{}), atomic.Bool{}
		var mu sync.Mutex
		reasons := make(map[string]int)
		ask := func(ctx context.Context, n int) {
			err := g.ask(ctx, fmt.Sprint("node ", n), func(context.Context) error {
				<-release
				if failing.Load() {
					return errRefused
				}
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			reasons[reasonOf(err)]++
		}
		want := func(what string, n map[string]int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if fmt.Sprint(reasons) != fmt.Sprint(n) {
				t.Errorf("%s: %v, want %v", what, reasons, n)
			}
			clear(reasons)
		}
		leaving, leave := context.WithCancel(t.Context())
		for n := range maxUnderWay {
			go ask(t.Context(), n)
		}
		synctest.Wait()
		for n := range maxWaiting {
			go ask(leaving, 100+n)
		}
		synctest.Wait()
		go ask(t.Context(), 999)
		want("one too many", map[string]int{"queue_full": 1})
		leave()
		want("who leaves", map[string]int{"context canceled": maxWaiting})
		for n := range maxWaiting {
			go ask(t.Context(), 1000+n)
		}
		want("those in their places", map[string]int{})
		failing.Store(true)
		for range maxFailures {
			release <- struct{}{}
			synctest.Wait()
		}
		want("Ironic is down", map[string]int{"refused": maxFailures, "down": maxWaiting - maxFailures + 1})
		failing.Store(false)
		close(release) // a late answer: it is not down
		want("late", map[string]int{"<nil>": maxUnderWay - 1})
		if err := g.ask(t.Context(), "node", g.call); err != nil {
			t.Error(err)
		}
		if looks, changes := g.noted(); len(looks) != 0 || len(changes) != 2 {
			t.Errorf("%d looks, changes %+v", len(looks), changes)
		}
		g.close()
		if err := g.ask(t.Context(), "node", g.call); reasonOf(err) != "closed" {
			t.Errorf("after close: %v", err)
		}
	})
}

// TestGateSurvivesAPanic gives its place back.
func TestGateSurvivesAPanic(t *testing.T) {
	inGate(t, func(t *testing.T, g *testedGate) {
		for range 2 * maxUnderWay {
			func() {
				defer func() { _ = recover() }()
				_ = g.ask(t.Context(), "node", func(context.Context) error { panic("a bug") })
			}()
		}
		if err := g.ask(t.Context(), "node", g.call); err != nil {
			t.Error(err)
		}
	})
}
