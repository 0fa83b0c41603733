// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Errors of objects.
var (
	// ErrNotStored is the end of what the store has of an object and will have: its fill cannot be stored. Reader reads on
	// from the origin.
	ErrNotStored = errors.New("the object is not stored any further")
	// ErrBad is an object whose bytes were not what they should be. It is in quarantine.
	ErrBad = errors.New("the object is bad")
	// ErrChanged is an object that its origin does not have any more, so that it cannot be completed.
	ErrChanged = errors.New("the origin has another object now")
	// ErrExists is an object whose content is there already (Store.Find), or has just been.
	ErrExists = errors.New("there is an object of this identity")
	// ErrClosed is a store that was closed.
	ErrClosed = errors.New("the store is closed")

	errIdle  = errors.New("the object is not being filled")
	errStuck = errors.New("the origin's answers do not bring a whole block")
)

// blockState is what is known of a block. From claimed on it is the number of the stream that is on its way to it: one
// stream writes a block, gives it back, or makes it present, and no other.
type blockState uint32

const (
	absent    blockState = iota
	unchecked            // it was there before the process began
	checking             // somebody compares it with its checksum
	present
	claimed
)

// Object is the bytes of one content. Store.Get and Store.Create hand it out; Release gives it back. It may be used by
// many goroutines at once.
type Object struct {
	store *Store
	id    string
	block int64

	validator cache.Validator
	digest    *cache.Digest
	identity  string

	// Guarded by Store.mu.
	keys     map[string]json.RawMessage
	users    int // handles that were not released, and the fill
	element  *list.Element
	reserved int64 // bytes that it has, or is to have
	charged  int64 // what of Store.used is for it
	removed  bool
	touched  time.Time // when the last use was last written down

	lastUse atomic.Int64 // Unix seconds
	saving  sync.Mutex   // held while the sidecar is written
	opening sync.Mutex   // held while the files are opened

	mu       sync.Mutex
	size     int64         // -1: not known yet
	state    []blockState  // nil if whole
	present  int64         // blocks that are there
	whole    bool          // every byte is there and the digest is right
	durable  bool          // and the sidecar says so
	gone     error         // why no more bytes will come, if so
	progress chan struct{} // closed at every change
	waiting  list.List     // of offsets that are waited for, the longest wait first
	awaited  time.Time     // when somebody last began to wait
	fill     *fill
	origin   cache.Origin
	data     *os.File // open while there are users
	sums     *os.File
}

// Size is the object's length in bytes, -1 if that is not known yet.
func (o *Object) Size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// Validator is by what the origin knows the object.
func (o *Object) Validator() cache.Validator { return o.validator }

// Whole reports whether every byte is there and right.
func (o *Object) Whole() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.whole
}

// Stored is how many bytes are there.
func (o *Object) Stored() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.whole {
		return o.size
	}
	n := o.present * o.block
	if last := int64(len(o.state)) - 1; o.size >= 0 && last >= 0 && o.state[last] == present {
		n -= (last+1)*o.block - o.size // the last block is not a whole one
	}
	return n
}

// Filling reports whether bytes are on their way, and the error for which no more will come.
func (o *Object) Filling() (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fill != nil, o.gone
}

// Changed is closed when something about the object changes: a block is there, or its fill ends.
func (o *Object) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.progress
}

// AwaitSize returns the length, waiting until it is known.
func (o *Object) AwaitSize(ctx context.Context) (int64, error) {
	for {
		o.mu.Lock()
		size, gone, progress := o.size, o.gone, o.progress
		o.mu.Unlock()
		if size >= 0 {
			return size, nil
		}
		if gone != nil {
			return -1, gone
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return -1, ctx.Err()
		}
	}
}

// Await returns how many bytes can be read at an offset, at most want, waiting until it is one at least. At the end of
// the object the error is io.EOF.
func (o *Object) Await(ctx context.Context, offset, want int64) (int64, error) {
	if want <= 0 {
		return 0, nil
	}
	for {
		o.mu.Lock()
		n, err := o.readyLocked(offset, want)
		if n > 0 {
			o.mu.Unlock()
			return n, nil
		}
		if i := offset / o.block; i >= 0 && i < int64(len(o.state)) && o.state[i] == unchecked {
			o.state[i] = checking
			f := o.fill
			if f != nil && !f.joinLocked() {
				f = nil
			}
			o.mu.Unlock()
			o.check(i)
			if f != nil {
				go f.leave() // it may be the last and have the whole object to finish
			}
			continue
		}
		if err != nil {
			o.mu.Unlock()
			return 0, err
		}
		progress := o.progress
		waiting := o.waiting.PushBack(offset)
		o.awaited = time.Now()
		if o.fill != nil {
			o.fill.startLocked()
		}
		o.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
			err = ctx.Err()
		}
		o.mu.Lock()
		o.waiting.Remove(waiting)
		o.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
}

// readyLocked is Await without waiting: no bytes and no error mean that they may come.
func (o *Object) readyLocked(offset, want int64) (int64, error) {
	switch {
	case offset < 0:
		return 0, fmt.Errorf("offset %d", offset)
	case o.size >= 0 && offset >= o.size:
		return 0, io.EOF
	case o.whole:
		return min(want, o.size-offset), nil
	}
	end := offset
	for i := offset / o.block; i < int64(len(o.state)) && end-offset < want && o.visibleLocked(i); i++ {
		end = (i + 1) * o.block
	}
	if o.size >= 0 {
		end = min(end, o.size)
	}
	if end > offset {
		return min(want, end-offset), nil
	}
	return 0, o.gone
}

// visibleLocked reports whether a block may be given out. The last one of an object with a digest may not before all
// have been seen to be right; while the length is not known, any block may be the last that has none after it.
func (o *Object) visibleLocked(i int64) bool {
	switch {
	case o.state[i] != present:
		return false
	case o.digest == nil:
		return true
	case o.size < 0:
		return i+1 < int64(len(o.state)) && o.state[i+1] == present
	}
	return i != (o.size-1)/o.block
}

// check decides over a block that was there before the process began, and that its caller marked.
func (o *Object) check(i int64) {
	first, last := i*o.block, (i+1)*o.block
	if size := o.Size(); size >= 0 {
		last = min(last, size)
	}
	want, there := readSum(o.sums, i)
	sum, err := sumOf(o.data, first, last-first)
	good := there && err == nil && sum == want
	lost := !good && !o.validator.Strong() // the block would come from an answer that may be of other content than the rest
	if lost {
		o.store.discard(o)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if good {
		o.state[i] = present
		o.present++
	} else {
		o.state[i] = absent
		o.store.counters.badBlocks.Add(1)
	}
	switch {
	case lost && o.fill != nil:
		o.fill.failLocked(ErrChanged)
	case lost:
		o.gone = ErrChanged
	}
	o.changedLocked()
	if o.fill != nil {
		o.fill.startLocked()
	}
}

// changedLocked wakes everybody who waits.
func (o *Object) changedLocked() {
	close(o.progress)
	o.progress = make(chan struct{})
}

// ReadAt reads bytes that Await said are there.
func (o *Object) ReadAt(p []byte, offset int64) (int, error) { return o.data.ReadAt(p, offset) }

// blocks is how many blocks a length has.
func (o *Object) blocks(size int64) int64 { return (size + o.block - 1) / o.block }

// open opens the object's files, for its first user, who was counted.
func (o *Object) open() error {
	o.opening.Lock()
	defer o.opening.Unlock()
	o.mu.Lock()
	done, whole, left := o.data != nil, o.whole, o.state == nil && !o.whole
	o.mu.Unlock()
	if done {
		return nil
	}
	data, err := o.openFile(dataPath(o.id), whole)
	if err != nil {
		return err
	}
	sums, err := o.openFile(sumsPath(o.id), whole)
	if err != nil {
		return errors.Join(err, data.Close())
	}
	var there []bool
	if left { // by another process
		there = readSums(sums, o.blocks(o.size))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data, o.sums = data, sums
	if left {
		o.state = make([]blockState, len(there))
		for i := range there {
			if there[i] {
				o.state[i] = unchecked
			}
		}
	}
	return nil
}

// openFile opens a file. A whole object, and any on a file system that has become read-only, can be read at least.
func (o *Object) openFile(name string, whole bool) (*os.File, error) {
	if !whole {
		f, err := o.store.root.OpenFile(name, os.O_RDWR, 0)
		if !errors.Is(err, syscall.EROFS) {
			return f, err
		}
	}
	return o.store.root.Open(name)
}

// detach takes the files from the object, after the last user. They are to be closed.
func (o *Object) detach() [2]*os.File {
	o.mu.Lock()
	defer o.mu.Unlock()
	files := [2]*os.File{o.data, o.sums}
	o.data, o.sums = nil, nil
	return files
}

// abandon ends the fill of an object that was dropped and has no other user any more.
func (o *Object) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fill != nil {
		o.fill.stop()
	}
}

// Retain takes the object once more, for another user. It reports false if the store is closed.
func (o *Object) Retain() bool {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	if o.store.closed {
		return false
	}
	o.users++
	return true
}

// Release gives the object back. It must not be used afterwards.
func (o *Object) Release() { o.store.release(o) }

// sidecarLocked is what the object's sidecar should say. Store.mu is held; Object.mu is not.
func (o *Object) sidecarLocked() *sidecar {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := &sidecar{Format: format, Size: o.size, Block: o.block, Whole: o.durable, Validator: o.validator, Identity: o.identity,
		Keys: make(map[string]json.RawMessage, len(o.keys))}
	if o.digest != nil {
		s.Digest = o.digest.String()
	}
	for key, info := range o.keys {
		s.Keys[key] = info
	}
	return s
}
