// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Options are a store's limits.
type Options struct {
	// MaxSize is how many bytes of objects are kept.
	MaxSize int64
	// MinFree is how many bytes of the file system are left to others.
	MinFree int64
	// Block is the unit in which bytes of new objects become visible, in bytes. Default: 1 MiB.
	Block int64
	// Parallel is how many ranges of one object are fetched at once. From 2 on, half as many more are asked for while
	// others are at their last block. Default: 4.
	Parallel int
	// OnBad is told of each object that was found to be bad and put into quarantine: its id, the keys that led to it, and
	// what is wrong with it. It is called by a goroutine that the store waits for when it closes. May be nil.
	OnBad func(id string, keys []string, why string)
	// Log is told of trouble. Default: slog's.
	Log *slog.Logger
}

// Store keeps objects in a directory. It may be used by many goroutines at once.
type Store struct {
	dir      string
	root     *os.Root
	lock     *os.File
	options  Options
	log      *slog.Logger
	counters counters
	block    atomic.Int64 // of new objects
	parallel atomic.Int64 // of new fills

	ctx   context.Context // of fills; ends at Close
	stop  context.CancelFunc
	fills sync.WaitGroup
	tasks sync.WaitGroup // unlinking, sampling, sidecars

	mu         sync.Mutex
	keys       map[string]*Object
	identities map[string]*Object
	making     map[string]chan struct{} // identities of objects that are being made; closed when they are
	objects    map[string]*Object
	recent     *list.List // of *Object, the last used first
	used       int64      // what objects cost, those too that were dropped and have users
	most       int        // objects
	filling    map[*Object]struct{}
	pinned     map[string]struct{}
	closed     bool
}

// counters count since the process began.
type counters struct {
	filling, filled, resumed, received, badBlocks, badObjects, notStored, evicted, evictedBytes atomic.Int64
}

// Stats is what a store has and did.
type Stats struct {
	Objects, MaxObjects   int64
	Bytes, MaxBytes       int64 // what objects cost: their length, rounded up to 64 KiB
	Filling               int64 // objects that are being filled
	Filled                int64 // objects that were
	Resumed               int64 // connections that were taken up again
	Received              int64 // bytes from origins
	BadBlocks, BadObjects int64 // whose checksum or digest was wrong
	NotStored             int64 // objects that found no room, or could not be written
	Evicted, EvictedBytes int64
	OldestUse             time.Time // of the object that is evicted next
}

// Open opens the store in a directory, which is made if it is not there. One process at a time has a store.
func Open(dir string, options Options) (*Store, error) {
	if options.Block == 0 {
		options.Block = 1 << 20
	}
	if options.Parallel == 0 {
		options.Parallel = 4
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	if options.MaxSize <= 0 || options.Block <= 0 || options.Block > options.MaxSize || options.Parallel < 0 || options.MinFree < 0 {
		return nil, fmt.Errorf("store %s: impossible limits", dir)
	}
	s := &Store{dir: dir, options: options, log: options.Log, keys: make(map[string]*Object),
		identities: make(map[string]*Object), making: make(map[string]chan struct{}), objects: make(map[string]*Object), filling: make(map[*Object]struct{}),
		recent: list.New(), most: objectsIn(options.MaxSize)}
	s.SetFills(options.Block, options.Parallel)
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.scan(); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", dir, err), s.Close())
	}
	left := s.someLeft() // not what comes while nobody has got to it yet
	s.tasks.Go(func() { s.sample(left) })
	return s, nil
}

// Close ends the fills, whose blocks are kept, and gives the directory back. Who has an object may read on in what is
// there.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.fills.Wait()
	s.tasks.Wait()
	// A process that was just begun has the lock file, too, until it runs its program.
	return errors.Join(s.root.Close(), syscall.Flock(int(s.lock.Fd()), syscall.LOCK_UN), s.lock.Close())
}

// SetLimits changes what a store may take. A smaller limit evicts.
func (s *Store) SetLimits(maxSize, minFree int64) {
	s.mu.Lock()
	s.options.MaxSize, s.options.MinFree, s.most = maxSize, minFree, objectsIn(maxSize)
	s.mu.Unlock()
	_ = s.makeRoom() // what is used or pinned stays
}

// SetFills changes the block of objects that are made from now on, and how many ranges are fetched at once by fills that
// begin from now on. Other objects keep their block, also after a restart: it is in their checksums.
func (s *Store) SetFills(block int64, parallel int) {
	s.block.Store(block)
	s.parallel.Store(int64(parallel))
}

// Pin keeps the objects of these keys from eviction, and of no others. A key stands for those, too, that have a NUL and
// something more after it: the variants of one thing.
func (s *Store) Pin(keys []string) {
	pinned := make(map[string]struct{}, len(keys))
	for _, key := range keys {
		pinned[key] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinned = pinned
}

// New is an object to be made.
type New struct {
	Key      string
	Info     json.RawMessage // what Get returns with the object
	Identity string          // see Find; may be empty
	Digest   *cache.Digest   // nil: not known
	Origin   cache.Origin
	// Part is the origin's first answer. It is of use if it begins at a multiple of the store's block. Its context is not a
	// client's. Its body may be closed while it is read.
	Part *cache.Part
}

// Create makes an object, leads the key to it and begins to fill it. The part's body is the store's, unless there is an
// error. The error ErrNotStored means that there is no room, ErrExists that there is one of this identity. The object is
// to be released.
func (s *Store) Create(n New) (*Object, error) {
	size := n.Part.Size
	made, err := s.claim(n.Identity)
	if err != nil {
		return nil, err
	}
	defer made()
	now := time.Now()
	o := &Object{store: s, id: newID(), block: s.Block(), validator: n.Part.Validator, digest: n.Digest, identity: n.Identity,
		size: size, progress: make(chan struct{}), touched: now, origin: n.Origin,
		awaited: now, // whoever asked is about to
		users:   2}   // the caller and the fill
	o.lastUse.Store(now.Unix())
	if err := s.reserve(o, max(size, 0)); err != nil {
		s.counters.notStored.Add(1)
		return nil, err
	}
	first := n.Part
	switch {
	case first.First > 0 && !o.validator.Strong():
		first = nil // only what comes in one piece from the beginning is of one representation
	case first.First%o.block != 0:
		first = nil // it was asked for before the block was another
	case first.Length >= 0 && first.Length < o.block && first.First+first.Length < size:
		first = nil // not a block
	}
	o.mu.Lock() // who reserves looks at what others have reserved
	if size >= 0 {
		o.state = make([]blockState, o.blocks(size))
	}
	f := s.newFill(o, n.Origin, first) // at once: who finds the object must not begin another
	f.proven = first == nil && n.Part.Ranges
	o.mu.Unlock()
	if err := s.createFiles(o); err != nil {
		s.log.Warn("an object cannot be stored; it is passed on from its origin", slog.Any("error", err))
		s.counters.notStored.Add(1)
		s.undo(o)
		return nil, ErrNotStored
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.undo(o)
		return nil, ErrClosed
	}
	s.fills.Add(1)
	s.insertLocked(o)
	old := s.setKeyLocked(n.Key, n.Info, o)
	s.mu.Unlock()
	s.save(o)
	s.save(old)
	if first == nil {
		_ = n.Part.Body.Close()
	}
	f.start()
	return o, nil
}

// claim sees to it that one object is made of an identity, however many want to at the same time. It waits for whoever is
// at it.
func (s *Store) claim(identity string) (made func(), err error) {
	if identity == "" {
		return func() {}, nil
	}
	for {
		s.mu.Lock()
		if s.identities[identity] != nil {
			s.mu.Unlock()
			return nil, ErrExists
		}
		other := s.making[identity]
		if other == nil {
			break
		}
		s.mu.Unlock()
		<-other
	}
	defer s.mu.Unlock()
	done := make(chan struct{})
	s.making[identity] = done
	return func() {
		s.mu.Lock()
		delete(s.making, identity)
		s.mu.Unlock()
		close(done)
	}, nil
}

// undo leaves nothing of an object that nobody has seen.
func (s *Store) undo(o *Object) {
	o.fill.stop()
	for _, f := range o.detach() {
		if f != nil {
			_ = f.Close()
		}
	}
	s.unlink(o.id)
	s.mu.Lock()
	s.unreserveLocked(o)
	s.mu.Unlock()
}

func (s *Store) createFiles(o *Object) error {
	if err := s.root.MkdirAll("objects/"+o.id[:2], 0o755); err != nil { // all: somebody may have emptied the directory
		return err
	}
	for _, name := range []string{dataPath(o.id), sumsPath(o.id)} {
		f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		if o.data == nil {
			o.data = f
		} else {
			o.sums = f
		}
	}
	return nil
}

// Resume fills an object that is neither whole nor being filled. One that was replaced is filled for who still reads it.
func (s *Store) Resume(o *Object, origin cache.Origin) {
	s.mu.Lock()
	o.mu.Lock()
	var f *fill
	final := errors.Is(o.gone, ErrBad) || errors.Is(o.gone, ErrChanged) || errors.Is(o.gone, ErrNotStored)
	if !o.whole && o.fill == nil && !(o.removed && final) && !s.closed {
		o.users++
		o.origin = origin
		f = s.newFill(o, origin, nil)
		s.fills.Add(1)
		s.filling[o] = struct{}{}
	}
	o.mu.Unlock()
	s.mu.Unlock()
	if f == nil {
		return
	}
	if err := s.makeRoom(); err != nil { // what is missing has a reservation, but perhaps no room
		o.mu.Lock()
		o.gone = err
		o.mu.Unlock()
	}
	f.start()
}

func (s *Store) insertLocked(o *Object) {
	o.keys = make(map[string]json.RawMessage)
	o.element = s.recent.PushFront(o)
	s.objects[o.id] = o
	if o.identity != "" {
		s.identities[o.identity] = o
	}
}

// discard takes an object out of the index, and its sidecar from the disk, though it may have users for long.
func (s *Store) discard(o *Object) {
	s.mu.Lock()
	s.dropLocked(o)
	if s.taskLocked() { // else it is a fill, which Close waits for, too
		defer s.tasks.Done()
	}
	s.mu.Unlock()
	s.save(o)
}

// taskLocked counts something that Close waits for, and that calls tasks.Done when it is done. It reports false, and
// counts nothing, if the store is closed.
func (s *Store) taskLocked() bool {
	if s.closed {
		return false
	}
	s.tasks.Add(1)
	return true
}

// dropLocked takes an object out of the index. Its users keep it; its files go with the last of them.
func (s *Store) dropLocked(o *Object) {
	if o.removed {
		return
	}
	o.removed = true
	for key := range o.keys {
		delete(s.keys, key)
	}
	clear(o.keys)
	if s.identities[o.identity] == o {
		delete(s.identities, o.identity)
	}
	delete(s.objects, o.id)
	s.recent.Remove(o.element)
	switch {
	case o.users == 0:
		s.unreserveLocked(o)
		if !s.closed { // else the next process does it
			s.tasks.Go(func() { s.unlink(o.id) })
		}
	case o.users == 1:
		o.abandon()
	}
}

// unlink removes an object's files, the sidecar first: without it the others are nothing.
func (s *Store) unlink(id string) {
	for _, name := range []string{sidecarPath(id), dataPath(id), sumsPath(id)} {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("a file of the store cannot be removed", slog.String("file", name), slog.Any("error", err))
		}
	}
}

// Stats returns what the store has and did.
func (s *Store) Stats() Stats {
	c := &s.counters
	stats := Stats{Filling: c.filling.Load(), Filled: c.filled.Load(), Resumed: c.resumed.Load(), Received: c.received.Load(),
		BadBlocks: c.badBlocks.Load(), BadObjects: c.badObjects.Load(), NotStored: c.notStored.Load(),
		Evicted: c.evicted.Load(), EvictedBytes: c.evictedBytes.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Objects, stats.MaxObjects, stats.Bytes, stats.MaxBytes = int64(len(s.objects)), int64(s.most), s.used, s.options.MaxSize
	if last := s.recent.Back(); last != nil {
		stats.OldestUse = time.Unix(last.Value.(*Object).lastUse.Load(), 0)
	}
	return stats
}

// Block is the unit in which bytes of new objects become visible.
func (s *Store) Block() int64 { return s.block.Load() }

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
