// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"cmp"
	"context"
	"errors"
	"hash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// fill brings an object's missing blocks from its origin, by one stream or several. It holds one use of its object, and
// ends when the object is whole, when its origin has another, or when it gives up.
type fill struct {
	o      *Object
	origin cache.Origin
	ctx    context.Context // the store's; ended by stop
	stop   context.CancelFunc
	first  *cache.Part

	parallel int // streams at most

	// Guarded by Object.mu.
	members int   // goroutines at work
	err     error // for which it ends
	meter   meter
	streams []*stream
	claims  blockState // the number of the last stream
	ranges  bool       // the origin serves ranges, so that streams may begin anywhere
	proven  bool       // the origin has said whether it does
	cursor  int64      // block from which read-ahead looks for what is missing
	ended   bool

	digesting sync.Mutex // held by who hashes
	hash      hash.Hash
	hashed    int64 // bytes
}

// stream is one transfer of consecutive bytes.
type stream struct {
	claim blockState // of the blocks that it is to bring
	pos   int64      // next byte
	end   int64      // where it is to stop; -1: where the object ends. Guarded by Object.mu
}

// A request asks for a segment of blocks: large enough to make the round trip between two requests of a stream small
// beside the transfer. While clients wait, segments are small, so that bytes come nearly in the order in which clients
// read: what comes early lies about, and has to be sent to all of them at once in the end. The streams that are not
// between two requests have the line meanwhile.
const (
	segment      = 8
	smallSegment = 2
	// hurry is how long after the last wait clients count as waiting: between two blocks they are busy sending.
	hurry = time.Second
)

// newFill makes the fill of an object, which nobody else has or whose lock is held. The part, if there is one, is the
// origin's first answer. The fill is to be started, and counted in Store.fills before Store.mu is free. It takes over a
// use of the object.
func (s *Store) newFill(o *Object, origin cache.Origin, part *cache.Part) *fill {
	f := &fill{o: o, origin: origin, first: part, parallel: int(s.parallel.Load()), ranges: o.validator.Strong(), members: 1,
		meter: newMeter(time.Now())}
	f.ctx, f.stop = context.WithCancel(s.ctx)
	if o.digest != nil {
		f.hash = o.digest.New()
	}
	if part != nil {
		end := int64(-1)
		if part.Length >= 0 && o.size >= 0 {
			end = min(part.First+part.Length, o.size)
		}
		f.newStreamLocked(part.First, end)
	}
	o.fill, o.gone = f, nil
	return f
}

// start begins to fill.
func (f *fill) start() {
	o := f.o
	o.store.counters.filling.Add(1)
	o.mu.Lock()
	if f.first != nil {
		f.runLocked(f.streams[0], f.first)
	}
	if slices.Contains(o.state, unchecked) {
		f.members++
		go f.check() // ends when every block is checked, or the store is closed
	}
	o.mu.Unlock()
	f.leave()
}

// joinLocked adds a goroutine that is to leave, unless the fill is at its end.
func (f *fill) joinLocked() bool {
	if f.ended {
		return false
	}
	f.members++
	return true
}

// failLocked ends a fill for an error. Readers are told of it at the fill's end: who reads the error and asks again at once
// finds neither the fill that failed nor its room taken.
func (f *fill) failLocked(err error) {
	if f.err == nil {
		f.err = err
	}
	f.stop()
}

// leave is called by each of the fill's goroutines when it has nothing more to do; the last one ends the fill.
func (f *fill) leave() {
	o, s := f.o, f.o.store
	o.mu.Lock()
	f.startLocked()
	f.members--
	last := f.members == 0
	f.ended = last
	complete := last && o.size >= 0 && o.present == o.blocks(o.size) && f.err == nil
	o.mu.Unlock()
	if !last {
		return
	}
	if complete {
		f.finish()
	}
	f.stop()
	s.counters.filling.Add(-1)
	s.mu.Lock() // until the fill's use is given back: an object that nobody uses can be evicted for who asks at once
	delete(s.filling, o)
	o.mu.Lock()
	o.fill = nil
	switch {
	case f.err != nil:
		o.gone = f.err
	case !o.whole && o.gone == nil:
		o.gone = errIdle
	}
	o.changedLocked()
	o.mu.Unlock()
	files, unlink := s.releaseLocked(o)
	s.mu.Unlock()
	s.tidy(o, files, unlink)
	s.fills.Done()
}

// check checks the blocks that were there before the process began.
func (f *fill) check() {
	defer f.leave()
	for f.ctx.Err() == nil {
		f.o.mu.Lock()
		i := slices.Index(f.o.state, unchecked)
		if i >= 0 {
			f.o.state[i] = checking
		}
		f.o.mu.Unlock()
		if i < 0 {
			return
		}
		f.o.check(int64(i))
	}
}

// startLocked starts as many streams as are useful: first to what is waited for, then to what comes next.
func (f *fill) startLocked() {
	if f.ended || f.err != nil || f.ctx.Err() != nil {
		return
	}
	limit := f.limit()
	for f.busyLocked() < limit && len(f.streams) < limit+limit/2 {
		st := f.pickLocked()
		if st == nil {
			return
		}
		f.runLocked(st, nil)
	}
}

// busyLocked is how many streams count against the limit. Those at their last block do not, within bounds: the request
// that follows takes a round trip, in which the line would have less to carry.
func (f *fill) busyLocked() int {
	busy := 0
	for _, st := range f.streams {
		if st.end < 0 || st.end-st.pos > f.o.block {
			busy++
		}
	}
	return busy
}

// limit is how many streams may run. More than one makes sense only where each can be told where to begin and to end.
func (f *fill) limit() int {
	if f.ranges && f.proven && f.o.size >= 0 {
		return f.parallel
	}
	return 1
}

// pickLocked chooses the next segment; nil if there is none.
func (f *fill) pickLocked() *stream {
	o := f.o
	if !f.ranges || o.size < 0 {
		for i, s := range o.state { // an origin without ranges sends all of it again
			if s == absent {
				return f.newStreamLocked(int64(i)*o.block, -1)
			}
		}
		if o.size < 0 {
			return f.newStreamLocked(int64(len(o.state))*o.block, -1)
		}
		return nil
	}
	for e := o.waiting.Front(); e != nil; e = e.Next() {
		i := e.Value.(int64) / o.block
		if i >= int64(len(o.state)) {
			continue
		}
		switch s := o.state[i]; {
		case s == absent:
			return f.segmentLocked(i)
		case s >= claimed:
			if st := f.takeOverLocked(i); st != nil {
				return st
			}
		}
	}
	n := int64(len(o.state))
	for k := range n {
		if i := (f.cursor + k) % n; o.state[i] == absent {
			return f.segmentLocked(i)
		}
	}
	return nil
}

// segmentLocked is the run of missing blocks that begins at one, as far as a request should go.
func (f *fill) segmentLocked(first int64) *stream {
	o := f.o
	length := int64(segment)
	if time.Since(o.awaited) < hurry {
		length = smallSegment
	}
	end := first
	for end < int64(len(o.state)) && end-first < length && o.state[end] == absent {
		end++
	}
	f.cursor = end % int64(len(o.state))
	return f.newStreamLocked(first*o.block, min(end*o.block, o.size))
}

// takeOverLocked cuts a stream short in favour of a new one if a block that is waited for is not soon its turn.
func (f *fill) takeOverLocked(i int64) *stream {
	o := f.o
	for _, st := range f.streams {
		if st.claim != o.state[i] || st.pos/o.block+2 > i {
			continue
		}
		end := st.end
		if end < 0 {
			end = o.size
		}
		st.end = i * o.block
		next := f.newStreamLocked(i*o.block, end)
		f.claimLocked(next, st.claim)
		return next
	}
	return nil
}

// newStreamLocked makes a stream and gives it what is absent on its way.
func (f *fill) newStreamLocked(pos, end int64) *stream {
	st := &stream{claim: claimed + f.claims, pos: pos, end: end}
	f.claims++
	f.claimLocked(st, absent)
	f.streams = append(f.streams, st)
	return st
}

// claimLocked gives a stream the blocks on its way that are in a state.
func (f *fill) claimLocked(st *stream, from blockState) {
	o := f.o
	for i := st.pos / o.block; i < int64(len(o.state)) && (st.end < 0 || i*o.block < st.end); i++ {
		if o.state[i] == from {
			o.state[i] = st.claim
		}
	}
}

// growLocked makes room for the states of an object whose length is not known.
func (f *fill) growLocked(blocks int64) {
	if more := blocks - int64(len(f.o.state)); more > 0 {
		f.o.state = append(f.o.state, make([]blockState, more)...)
	}
}

// runLocked runs a stream.
func (f *fill) runLocked(st *stream, part *cache.Part) {
	f.members++
	go func() { // ends when the stream is at its end, has failed for good, or the store is closed
		defer f.leave()
		err := f.transfer(st, part)
		o := f.o
		if errors.Is(err, ErrNotStored) || errors.Is(err, ErrChanged) {
			o.store.discard(o) // whoever asks next begins anew
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		f.streams = slices.DeleteFunc(f.streams, func(s *stream) bool { return s == st })
		f.disclaimLocked(st)
		if err != nil {
			f.failLocked(err)
		}
		o.changedLocked()
	}()
}

// disclaimLocked gives back what a stream did not bring.
func (f *fill) disclaimLocked(st *stream) {
	o := f.o
	for i, s := range o.state {
		if s == st.claim {
			o.state[i] = absent
		}
	}
}

// patience is how long a fill goes on without a byte: while a client waits, and while nobody does. What is there is kept;
// whoever asks next starts it again.
const (
	patience     = 10 * time.Minute
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// transfer brings a stream to its end, over as many connections as it takes. The error is that for which the fill ends.
func (f *fill) transfer(st *stream, part *cache.Part) error {
	backoff := firstBackoff
	progress := time.Now()
	for {
		before := st.pos
		done, err := f.attempt(st, part)
		part = nil
		if done || f.ctx.Err() != nil {
			return nil
		}
		if err == nil && st.pos > before {
			continue
		}
		var changed *cache.ChangedError
		var answer *cache.OriginError
		var local *storeError
		switch {
		case errors.As(err, &changed):
			if changed.Part != nil {
				_ = changed.Part.Body.Close()
			}
			return ErrChanged
		case errors.As(err, &local):
			return f.giveUp(local)
		case errors.As(err, &answer) && !answer.Temporary:
			return err
		}
		if st.pos > before {
			backoff, progress = firstBackoff, time.Now()
		} else if time.Since(progress) > patience {
			return cmp.Or(err, errStuck)
		}
		f.o.store.counters.resumed.Add(1)
		pause := backoff + jitter(backoff)
		if answer != nil && answer.RetryAfter > 0 {
			pause = min(answer.RetryAfter, patience)
		}
		if !sleep(f.ctx, pause) {
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// giveUp ends the storing of an object that cannot be written. What its clients still need they get from the origin.
func (f *fill) giveUp(err *storeError) error {
	f.o.store.log.Warn("an object cannot be stored; it is passed on from its origin", slog.String("object", f.o.id),
		slog.Any("error", err))
	f.o.store.counters.notStored.Add(1)
	return ErrNotStored
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
