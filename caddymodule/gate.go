// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"container/list"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
)

const (
	// maxUnderWay bounds the nodes that are asked for at once, each by one call after the other. It is fewer than the
	// client has connections, so that nobody's timeout passes in a queue that cannot be seen.
	maxUnderWay = 32
	// maxWaiting bounds those that wait for their turn; whoever comes then is told to come back. An Ironic that answers for
	// 50 nodes a second gets through as many within five seconds, which is about when they come back.
	maxWaiting = 256
	// maxFailures is after how many failures in a row Ironic is taken for down.
	maxFailures = 5
	// afterOutage is how many are asked for at once when Ironic is back; each answer allows one more.
	afterOutage = 2
	// The pauses between two looks at an Ironic that is down: the first one doubles up to the longest.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// calmAfterAnswer and calmAfterLook are for how long an answer to somebody, or to a look, shows that Ironic is there, however
	// long others wait.
	calmAfterAnswer = time.Second
	calmAfterLook   = 5 * time.Second
)

// gate is what all questions for nodes go through on their way to one Ironic. It bounds how many are asked at once and how
// many wait, and while Ironic is down it says so at once, so that nobody waits: one look at a time finds out whether Ironic
// is back. Then the questions grow from a few at once to as many as are allowed. It is taken for down when several questions in
// a row have failed, or when a look fails that a failed reading of the inventory gave rise to.
//
// The libraries of this kind (sony/gobreaker) have neither a backoff nor a slow start, nor a queue; what they would leave to
// write is this.
type gate struct {
	check   func(context.Context) error // looks whether Ironic is back
	changed func(ironicChange)          // is told of each change, one after the other and under no lock

	mu       sync.Mutex
	underWay int
	limit    int                // of underWay
	waiting  list.List          // of chan error: nil is a turn, which the sender has counted in underWay
	failures int                // in a row
	last     string             // whose failure was the last one
	answers  int                // to questions
	calm     time.Time          // until when nothing has it looked whether Ironic is there
	unlook   context.CancelFunc // ends the look that a failure gave rise to; nil: there is none
	pauses   int                // since the last answer to a question
	look     time.Time          // when the next look is, while it is down
	back     context.CancelFunc // ends the watch; nil: Ironic is not down
	since    time.Time          // when it last went down or came back; zero: it never went down
	why      error              // it is down
	closed   bool

	watching sync.Mutex // held by the watch over an outage
	life     context.Context
	end      context.CancelFunc
	work     sync.WaitGroup
}

// ironicChange is that Ironic went down, or that it is back.
type ironicChange struct {
	up     bool
	lasted time.Duration // how long it was down, when it is back
	err    error         // why it is taken for down
	look   time.Duration // until the first look whether it is back
}

// reasonDown is the reason of the error while Ironic is taken for down.
const reasonDown = "down"

// errFull is the answer when too many wait already.
var errFull = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "ask Ironic", Reason: "queue_full", Err: errors.New("too many questions wait already")}

func newGate(check func(context.Context) error, changed func(ironicChange)) *gate {
	g := &gate{check: check, changed: changed, limit: maxUnderWay}
	g.life, g.end = context.WithCancel(context.Background())
	return g
}

// close ends the looks, and sends away who waits.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.dismissLocked(errDismissed)
	g.mu.Unlock()
	g.end()
	g.work.Wait()
}

var errDismissed = &ironic.Error{Kind: ironic.ErrUnavailable, Op: "ask Ironic", Reason: "closed", Err: errors.New("no configuration asks this Ironic any more")}

// ask lets call ask Ironic about something of that name, when it is its turn. An error of the gate's own is an *ironic.Error
// of the kind ErrUnavailable.
func (g *gate) ask(ctx context.Context, name string, call func(context.Context) error) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	err := context.Canceled // says nothing of Ironic, should call panic
	defer func() { g.leave(name, err) }()
	err = call(ctx)
	return err
}

func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	switch {
	case g.back != nil:
		defer g.mu.Unlock()
		return g.downLocked()
	case g.closed:
		g.mu.Unlock()
		return errDismissed
	case g.underWay < g.limit:
		g.underWay++
		g.mu.Unlock()
		return nil
	case g.waiting.Len() >= maxWaiting:
		g.mu.Unlock()
		return errFull
	}
	turn := make(chan error, 1)
	place := g.waiting.PushBack(turn)
	g.mu.Unlock()
	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting.Remove(place)
	select {
	case err := <-turn: // at the same moment
		if err == nil {
			g.underWay--
			g.admitLocked()
		}
	default:
	}
	return ctx.Err()
}

// down is the error while Ironic is down, and nil otherwise.
func (g *gate) down() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.back == nil {
		return nil
	}
	return g.downLocked()
}

// downLocked is the error while Ironic is down. It says when it is worth to come back.
func (g *gate) downLocked() error {
	return &ironic.Error{Kind: ironic.ErrUnavailable, Op: "ask Ironic", Reason: reasonDown, RetryAfter: max(time.Until(g.look), firstPause),
		Err: errors.New("it was not there for those who asked before")}
}

// admitLocked lets those in that have waited longest, as far as the limit allows.
func (g *gate) admitLocked() {
	for g.underWay < g.limit && g.waiting.Len() > 0 {
		g.underWay++
		g.waiting.Remove(g.waiting.Front()).(chan error) <- nil
	}
}

// dismissLocked sends everybody away who waits.
func (g *gate) dismissLocked(err error) {
	for g.waiting.Len() > 0 {
		g.waiting.Remove(g.waiting.Front()).(chan error) <- err
	}
}

// leave ends what enter began, and learns from how it went.
func (g *gate) leave(name string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay--
	g.learnLocked(name, err)
}

// learn takes in how something went that Ironic was asked without a turn: what the inventory asks, one call after the other,
// which must not wait behind machines. An answer is as good as one to a question, and so opens the gate. A failure has it
// looked at once: the next one may be an interval away.
func (g *gate) learn(name string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.learnLocked(name, err); errors.Is(err, ironic.ErrUnavailable) {
		g.suspectLocked()
	}
}

// suspectLocked has it looked whether Ironic is there at all.
func (g *gate) suspectLocked() {
	if g.unlook != nil || g.back != nil || g.closed || time.Now().Before(g.calm) {
		return
	}
	ctx, cancel := context.WithCancel(g.life)
	answers := g.answers
	g.unlook = cancel
	g.work.Go(func() { // ends with the look, or the gate
		defer cancel()
		err := g.check(ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.unlook = nil
		switch {
		case err == nil:
			g.calm = time.Now().Add(calmAfterLook)
		case errors.Is(err, ironic.ErrUnavailable) && g.back == nil && !g.closed && g.answers == answers:
			g.shutLocked(err)
		}
	})
}

func (g *gate) learnLocked(name string, err error) {
	switch {
	case err == nil || errors.Is(err, ironic.ErrNoNode):
		g.failures, g.pauses = 0, 0
		g.answers++
		g.calm = time.Now().Add(calmAfterAnswer)
		g.limit = min(g.limit+1, maxUnderWay)
		if g.back != nil {
			g.upLocked()
		}
	case errors.Is(err, ironic.ErrUnavailable) && g.back == nil && !g.closed:
		g.failLocked(name, err)
	}
	if g.back == nil {
		g.admitLocked()
	}
}

// failLocked counts a failure. The same status for the same node says something of that node, and may say nothing of the
// others.
func (g *gate) failLocked(name string, err error) {
	var e *ironic.Error
	if errors.As(err, &e) && (e.Reason == "closed" || e.Status != 0 && name == g.last && g.failures > 0) {
		return
	}
	g.last = name
	if g.failures++; g.failures >= maxFailures {
		g.shutLocked(err)
	}
}

// shutLocked begins an outage.
func (g *gate) shutLocked(err error) {
	watch, back := context.WithCancel(g.life)
	pause, since := g.pauseLocked(), time.Now()
	g.back, g.since, g.why = back, since, err
	if g.unlook != nil { // the watch looks from now on
		g.unlook()
	}
	g.dismissLocked(g.downLocked())
	g.work.Go(func() { g.watch(watch, since, err, pause) }) // ends with the outage or the gate
}

// pauseLocked is how long to wait until the next look. It grows until a question was answered: an Ironic that is there for
// looks only is not back.
func (g *gate) pauseLocked() time.Duration {
	mean := min(firstPause<<g.pauses, longestPause)
	if g.pauses < 10 {
		g.pauses++
	}
	pause := mean*3/4 + rand.N(mean/2)
	g.look = time.Now().Add(pause)
	return pause
}

// watch tells of an outage, looks whether Ironic is back, and tells of that. An answer to a question is as good as a look.
func (g *gate) watch(ctx context.Context, since time.Time, err error, pause time.Duration) {
	g.watching.Lock()
	defer g.watching.Unlock()
	g.changed(ironicChange{err: err, look: pause})
	for ctx.Err() == nil {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			continue
		}
		err := g.check(ctx)
		g.mu.Lock()
		if ctx.Err() == nil {
			if pause = g.pauseLocked(); err == nil {
				g.upLocked()
			}
		}
		g.mu.Unlock()
	}
	if g.life.Err() == nil {
		g.changed(ironicChange{up: true, lasted: time.Since(since)})
	}
}

// upLocked opens the gate, a little at first.
func (g *gate) upLocked() {
	g.back()
	g.back, g.failures, g.limit = nil, 0, afterOutage
	g.since, g.why = time.Now(), nil
}

// state says whether Ironic is taken for up, since when if that has changed, and why not.
func (g *gate) state() (up bool, since time.Time, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.back == nil, g.since, g.why
}
