// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// storeError is trouble of our own with an object's files.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

func jitter(d time.Duration) time.Duration { return rand.N(d) }

// attempt asks for what a stream still lacks, unless part is it already, and stores it. It reports whether the stream is
// at its end.
func (f *fill) attempt(st *stream, part *cache.Part) (bool, error) {
	o := f.o
	if part != nil { // its context is of who made the object
		defer context.AfterFunc(f.ctx, func() { _ = part.Body.Close() })()
	} else {
		o.mu.Lock()
		end := st.end
		ask := cache.Ask{First: st.pos, Same: o.validator}
		if end >= 0 {
			ask.Length = end - st.pos
		}
		if !f.ranges {
			ask.First, ask.Length = 0, 0
		}
		o.mu.Unlock()
		if end >= 0 && st.pos >= end {
			return true, nil
		}
		var err error
		if part, err = f.origin.Open(f.ctx, ask); err != nil {
			return false, err
		}
	}
	defer part.Body.Close()
	if o.Size() < 0 && part.Size >= 0 {
		if err := o.store.reserve(o, part.Size); err != nil {
			return false, &storeError{err}
		}
	}
	learned, err := f.accept(st, part)
	if errors.Is(err, errElsewhere) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if learned {
		o.store.save(o)
	}
	return f.receive(st, part)
}

// errElsewhere is an answer that another stream has, too.
var errElsewhere = errors.New("another stream brings all of it")

// accept compares an answer with what is known of the object. It reports whether it tells the object's length.
func (f *fill) accept(st *stream, part *cache.Part) (learned bool, err error) {
	o := f.o
	o.mu.Lock()
	defer o.mu.Unlock()
	if part.Size >= 0 && o.size >= 0 && part.Size != o.size || contradict(part.Validator, o.validator) {
		return false, &cache.ChangedError{}
	}
	if part.First > st.pos {
		return false, fmt.Errorf("an answer that begins at byte %d instead of %d", part.First, st.pos)
	}
	if learned = part.Size >= 0 && o.size < 0; learned && !f.sizeKnownLocked(part.Size) {
		return false, &cache.ChangedError{}
	}
	f.proven = true
	if !part.Ranges {
		f.ranges = false
		if slices.ContainsFunc(f.streams, func(s *stream) bool { return s != st && s.end < 0 }) {
			return learned, errElsewhere
		}
		st.end = -1 // what comes is all of it
	}
	st.pos = part.First + (o.block-part.First%o.block)%o.block // receive skips what is before that block
	f.claimLocked(st, absent)
	f.startLocked()
	return learned, nil
}

// contradict reports whether validators cannot be of one representation. Even weak ones that differ say so.
func contradict(a, b cache.Validator) bool {
	if a.ETag != "" && b.ETag != "" {
		return strings.TrimPrefix(a.ETag, "W/") != strings.TrimPrefix(b.ETag, "W/")
	}
	return a.ETag == b.ETag && a.LastModified != "" && b.LastModified != "" && a.LastModified != b.LastModified
}

// receive stores a body block by block.
func (f *fill) receive(st *stream, part *cache.Part) (bool, error) {
	o := f.o
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	body := &io.LimitedReader{R: part.Body, N: part.Length}
	if part.Length < 0 {
		body.N = math.MaxInt64 // until it ends
	}
	if _, err := io.CopyN(io.Discard, body, st.pos-part.First); err != nil {
		return false, unexpected(err)
	}
	for {
		first := st.pos // a block is begun anew: the checksum of its first half went with the last connection
		size, end := f.goal(st)
		if end >= 0 && first >= end {
			return true, nil
		}
		last := first + o.block
		if size >= 0 {
			last = min(last, size)
		} else if err := o.store.reserve(o, last); err != nil {
			return false, &storeError{err}
		}
		store := f.wanted(st, first/o.block)
		sum, n, err := f.receiveBlock(body, *buffer, first, last, store)
		o.store.counters.received.Add(n)
		switch {
		case err == io.EOF && part.Length < 0 && size < 0:
			if !f.sizeKnown(first + n) { // before the block is there: nobody is to take it for a full one
				return false, &cache.ChangedError{}
			}
			if n == 0 {
				return true, nil
			}
		case err == io.EOF && body.N == 0:
			return false, nil // less than was asked for; the next request brings more
		case err != nil:
			return false, unexpected(err)
		}
		if err := f.blockDone(st, first/o.block, n, sum, store); err != nil {
			return false, err
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// goal is the object's length and where a stream is to stop, -1 where that is not known.
func (f *fill) goal(st *stream) (size, end int64) {
	f.o.mu.Lock()
	defer f.o.mu.Unlock()
	if st.end < 0 {
		return f.o.size, f.o.size
	}
	return f.o.size, st.end
}

// wanted reports whether a block is the stream's to store.
func (f *fill) wanted(st *stream, i int64) bool {
	o := f.o
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size < 0 {
		f.growLocked(i + 1)
	}
	if o.state[i] == absent {
		o.state[i] = st.claim
	}
	return o.state[i] == st.claim
}

// receiveBlock reads the bytes from first to last and writes them, if they are to be stored. It returns their checksum
// and how many there were.
func (f *fill) receiveBlock(body io.Reader, buffer []byte, first, last int64, store bool) (sum uint32, n int64, err error) {
	for first+n < last {
		p := buffer[:min(int64(len(buffer)), last-first-n)]
		m, err := body.Read(p)
		if m > 0 {
			sum = crc32.Update(sum, castagnoli, p[:m])
			if store {
				if _, err := f.o.data.WriteAt(p[:m], first+n); err != nil {
					return 0, n, &storeError{err}
				}
			}
			n += int64(m)
		}
		if err != nil && first+n < last { // a body may end together with its last bytes
			return sum, n, err
		}
	}
	return sum, n, nil
}

// blockDone makes a block visible, or compares it with the one that is there.
func (f *fill) blockDone(st *stream, i, n int64, sum uint32, store bool) error {
	o := f.o
	if !store {
		if have, there := readSum(o.sums, i); there && have != sum {
			return &cache.ChangedError{}
		}
	} else if err := writeSum(o.sums, i, sum); err != nil {
		return &storeError{err}
	}
	o.mu.Lock()
	st.pos += n
	f.meter.add(n, time.Now())
	if store {
		o.state[i] = present
		o.present++
	}
	o.changedLocked()
	f.startLocked()
	o.mu.Unlock()
	if f.hash != nil {
		return f.advance()
	}
	return nil
}

// sizeKnown is about an object whose length its end tells.
func (f *fill) sizeKnown(size int64) bool {
	f.o.mu.Lock()
	defer f.o.mu.Unlock()
	return f.sizeKnownLocked(size)
}

// sizeKnownLocked sets the length of an object. It reports whether it can be: not if there is more already.
func (f *fill) sizeKnownLocked(size int64) bool {
	o := f.o
	for i, s := range o.state {
		if s == present && (int64(i)+1)*o.block > size {
			return false
		}
	}
	o.size = size
	blocks := o.blocks(size)
	f.growLocked(blocks)
	o.state = o.state[:blocks]
	o.changedLocked()
	return true
}

// advance hashes the blocks that have become consecutive, unless somebody does already.
func (f *fill) advance() error {
	if !f.digesting.TryLock() {
		return nil
	}
	defer f.digesting.Unlock()
	o := f.o
	for {
		o.mu.Lock()
		i := f.hashed / o.block
		there := i < int64(len(o.state)) && o.state[i] == present
		end := (i + 1) * o.block
		if o.size >= 0 {
			end = min(end, o.size)
		} else {
			there = there && i+1 < int64(len(o.state)) // the last block's length is not known yet
		}
		o.mu.Unlock()
		if !there || end == f.hashed {
			return nil
		}
		if _, err := io.Copy(f.hash, io.NewSectionReader(o.data, f.hashed, end-f.hashed)); err != nil {
			return &storeError{errors.Join(errors.New("reading what was written"), err)}
		}
		f.hashed = end
	}
}
