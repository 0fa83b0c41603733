// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
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
	if part == nil {
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
	if err := f.accept(st, part); err != nil {
		return false, err
	}
	return f.receive(st, part)
}

// accept compares an answer with what is known of the object.
func (f *fill) accept(st *stream, part *cache.Part) error {
	o := f.o
	o.mu.Lock()
	defer o.mu.Unlock()
	if part.Size >= 0 && o.size >= 0 && part.Size != o.size {
		return &cache.ChangedError{}
	}
	if part.First%o.block != 0 || part.First > st.pos {
		return fmt.Errorf("an answer that begins at byte %d instead of %d", part.First, st.pos)
	}
	if !part.Ranges {
		f.ranges = false
	}
	if part.Size >= 0 && o.size < 0 {
		o.size = part.Size
		f.growLocked(part.Size)
		o.changedLocked()
	}
	if st.pos != part.First { // no ranges: what is there already is compared with it
		st.pos = part.First
	}
	return nil
}

// receive stores a body block by block.
func (f *fill) receive(st *stream, part *cache.Part) (bool, error) {
	o := f.o
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	left := part.Length // negative: until the body ends
	for {
		first := st.pos // a block is begun anew: the checksum of its first half went with the last connection
		size := o.Size()
		last := first + o.block
		if size >= 0 {
			last = min(last, size)
		} else if err := o.store.reserve(o, last); err != nil {
			return false, &storeError{err}
		}
		store := f.wanted(first / o.block)
		sum, n, err := f.receiveBlock(part.Body, *buffer, first, last, store)
		o.store.counters.received.Add(n)
		if left >= 0 {
			left -= n
		}
		switch {
		case err == io.EOF && left <= 0 && size < 0:
			f.sizeKnown(first + n) // before the last block is seen, which is shorter than the others
			if n > 0 {
				if err := f.blockDone(st, first/o.block, n, sum, store); err != nil {
					return false, err
				}
			}
			return true, nil
		case err == io.EOF && left == 0:
			return false, nil // less than was asked for; the next request brings more
		case err == io.EOF:
			return false, io.ErrUnexpectedEOF
		case err != nil:
			return false, err
		}
		if err := f.blockDone(st, first/o.block, n, sum, store); err != nil {
			return false, err
		}
		o.mu.Lock()
		end := st.end
		if end < 0 {
			end = o.size
		}
		o.mu.Unlock()
		if end >= 0 && st.pos >= end {
			return true, nil
		}
	}
}

// wanted reports whether a block is still to be stored.
func (f *fill) wanted(i int64) bool {
	o := f.o
	o.mu.Lock()
	defer o.mu.Unlock()
	f.growLocked((i + 1) * o.block)
	if o.state[i] == absent {
		o.state[i] = claimed
	}
	return o.state[i] == claimed
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
		if err != nil && first+n < last { // an end that comes with the last bytes comes again
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
	if store {
		o.state[i] = present
		o.present++
	}
	o.changedLocked()
	o.mu.Unlock()
	if f.hash != nil {
		return f.advance()
	}
	return nil
}

// sizeKnown is about an object whose length its end tells.
func (f *fill) sizeKnown(size int64) {
	o := f.o
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size < 0 {
		o.size = size
		o.state = o.state[:o.blocks(size)]
		o.changedLocked()
	}
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
