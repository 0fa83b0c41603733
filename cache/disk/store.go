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
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Options are a store's limits.
type Options struct {
	// MaxSize is how many bytes of objects are kept.
	MaxSize int64
	// MinFree is how many bytes of the file system are left to others.
	MinFree int64
	// Block is the unit in which bytes become visible, in bytes. Default: 1 MiB.
	Block int64
	// Parallel is how many ranges of one object are fetched at once. Default: 4.
	Parallel int
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

	ctx   context.Context // of fills; ends at Close
	stop  context.CancelFunc
	fills sync.WaitGroup
	tasks sync.WaitGroup // unlinking, sampling

	mu         sync.Mutex
	keys       map[string]*Object
	identities map[string]*Object
	objects    map[string]*Object
	recent     *list.List // of *Object, the last used first
	used       int64      // bytes reserved by objects, and by those that were dropped while they have users
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
	Objects, Bytes, MaxBytes int64
	Filling                  int64 // objects that are being filled
	Filled                   int64 // objects that were
	Resumed                  int64 // connections that were taken up again
	Received                 int64 // bytes from origins
	BadBlocks, BadObjects    int64 // whose checksum or digest was wrong
	NotStored                int64 // objects that could not be written
	Evicted, EvictedBytes    int64
	OldestUse                time.Time // of the object that is evicted next
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
		identities: make(map[string]*Object), objects: make(map[string]*Object), filling: make(map[*Object]struct{}),
		recent: list.New()}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.scan(); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", dir, err), s.Close())
	}
	s.tasks.Go(s.sample)
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
	return errors.Join(s.root.Close(), s.lock.Close())
}

// SetLimits changes what a store may take. A smaller limit evicts.
func (s *Store) SetLimits(maxSize, minFree int64) {
	s.mu.Lock()
	s.options.MaxSize, s.options.MinFree = maxSize, minFree
	s.mu.Unlock()
	_ = s.makeRoom() // what is used or pinned stays
}

// Pin keeps the objects of these keys from eviction, and of no others.
func (s *Store) Pin(keys []string) {
	pinned := make(map[string]struct{}, len(keys))
	for _, key := range keys {
		pinned[key] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinned = pinned
}

// Get returns the object to which a key leads, and what was said of it when the key was set. Nil: there is none. The
// object is to be released.
func (s *Store) Get(key string) (*Object, json.RawMessage) {
	s.mu.Lock()
	o := s.keys[key]
	if o == nil || !s.useLocked(o) {
		s.mu.Unlock()
		return nil, nil
	}
	info := o.keys[key]
	s.mu.Unlock()
	if !s.opened(o) {
		return nil, nil
	}
	return o, info
}

// Find returns the object of an identity, a name of its content: a digest, or an origin with a strong validator and a
// length. Nil: there is none. The object is to be released.
func (s *Store) Find(identity string) *Object {
	s.mu.Lock()
	o := s.identities[identity]
	used := o != nil && s.useLocked(o)
	s.mu.Unlock()
	if !used || !s.opened(o) {
		return nil
	}
	return o
}

// use takes an object for a user.
func (s *Store) use(o *Object) bool {
	s.mu.Lock()
	used := s.useLocked(o)
	s.mu.Unlock()
	return used && s.opened(o)
}

// useLocked counts a user of an object, who is to open it next.
func (s *Store) useLocked(o *Object) bool {
	if o.removed || s.closed {
		return false
	}
	o.users++
	o.lastUse.Store(time.Now().Unix())
	s.recent.MoveToFront(o.element)
	return true
}

// opened opens an object's files for a user who was counted. Otherwise the user is counted no more.
func (s *Store) opened(o *Object) bool {
	if err := o.open(); err != nil {
		s.log.Warn("an object of the store cannot be opened", slog.String("object", o.id), slog.Any("error", err))
		if errors.Is(err, fs.ErrNotExist) { // anything else may pass: too many open files, for one
			s.discard(o)
		}
		s.release(o)
		return false
	}
	now := time.Now()
	s.mu.Lock()
	touch := now.Sub(o.touched).Abs() > time.Minute // it is in the future if the clock was
	if touch {
		o.touched = now
	}
	s.mu.Unlock()
	if touch {
		if err := s.root.Chtimes(sidecarPath(o.id), now, now); err != nil {
			s.log.Debug("the use of an object cannot be written down", slog.String("object", o.id), slog.Any("error", err))
		}
	}
	return true
}

func (s *Store) release(o *Object) {
	var files [2]*os.File
	s.mu.Lock()
	o.users--
	unlink := false
	switch {
	case o.users == 0:
		files = o.detach() // nobody can take it up before Store.mu is free
		if o.removed {
			s.unreserveLocked(o)
			unlink = !s.closed // else the next process does it: there is no sidecar
		}
	case o.removed && o.users == 1:
		o.abandon()
	}
	s.mu.Unlock()
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
	if unlink {
		s.unlink(o.id)
	}
}

// New is an object to be made.
type New struct {
	Key      string
	Info     json.RawMessage // what Get returns with the object
	Identity string          // see Find; may be empty
	Digest   *cache.Digest   // nil: not known
	Origin   cache.Origin
	// Part is the origin's first answer. It begins at a multiple of the store's block, and its context is not a client's.
	// Its body may be closed while it is read.
	Part *cache.Part
}

// Create makes an object, leads the key to it and begins to fill it. The part's body is the store's, unless there is an
// error. The error ErrNotStored means that there is no room. The object is to be released.
func (s *Store) Create(n New) (*Object, error) {
	size := n.Part.Size
	if n.Part.First%s.options.Block != 0 {
		return nil, fmt.Errorf("a part that begins at byte %d", n.Part.First)
	}
	now := time.Now()
	o := &Object{store: s, id: newID(), block: s.options.Block, validator: n.Part.Validator, digest: n.Digest, identity: n.Identity,
		size: size, progress: make(chan struct{}), created: now, touched: now, origin: n.Origin, users: 2} // the caller and the fill
	o.lastUse.Store(now.Unix())
	if err := s.reserve(o, max(size, 0)); err != nil {
		return nil, err
	}
	if size >= 0 {
		o.state = make([]blockState, o.blocks(size))
	}
	first := n.Part
	if first.First > 0 && !o.validator.Strong() {
		first = nil // only what comes in one piece from the beginning is of one representation
	}
	f := s.newFill(o, n.Origin, first) // at once: who finds the object must not begin another
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

// Resume fills an object that is neither whole nor being filled.
func (s *Store) Resume(o *Object, origin cache.Origin) {
	s.mu.Lock()
	o.mu.Lock()
	var f *fill
	if !o.whole && o.fill == nil && !o.removed && !s.closed {
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

// SetKey leads a key to an object, or changes what is said of it.
func (s *Store) SetKey(key string, info json.RawMessage, o *Object) {
	s.mu.Lock()
	if o.removed || s.closed {
		s.mu.Unlock()
		return
	}
	old := s.setKeyLocked(key, info, o)
	s.mu.Unlock()
	s.save(o)
	s.save(old)
}

// setKeyLocked returns the object that the key led to, nil if it is the same or there was none.
func (s *Store) setKeyLocked(key string, info json.RawMessage, o *Object) *Object {
	old := s.keys[key]
	s.keys[key] = o
	o.keys[key] = info
	if old == nil || old == o {
		return nil
	}
	delete(old.keys, key)
	if len(old.keys) == 0 {
		s.dropLocked(old)
	}
	return old
}

// RemoveKey makes a key lead nowhere. An object without keys is removed when its last user has left.
func (s *Store) RemoveKey(key string) {
	s.mu.Lock()
	o := s.keys[key]
	if o == nil || s.closed {
		s.mu.Unlock()
		return
	}
	delete(s.keys, key)
	delete(o.keys, key)
	if len(o.keys) == 0 {
		s.dropLocked(o)
	}
	s.mu.Unlock()
	s.save(o)
}

// save writes what is to be known of an object after a restart, if there is one; if it cannot be, a restart loses it.
func (s *Store) save(o *Object) {
	if o == nil {
		return
	}
	if err := s.writeSidecar(o, false); err != nil {
		s.log.Warn("a sidecar cannot be written; a restart loses the object", slog.String("object", o.id), slog.Any("error", err))
	}
}

// writeSidecar writes an object's sidecar as it should be now. Who comes later writes what is true later: two that had
// decided before they wrote could leave the older one. An object that was dropped has none, or it would be found again
// after a restart, under a key that leads elsewhere.
func (s *Store) writeSidecar(o *Object, sync bool) error {
	o.saving.Lock()
	defer o.saving.Unlock()
	s.mu.Lock()
	removed := o.removed
	side := o.sidecarLocked()
	s.mu.Unlock()
	if removed {
		err := s.root.Remove(sidecarPath(o.id))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	return writeSidecar(s.root, o.id, side, sync)
}

func (s *Store) insertLocked(o *Object) {
	o.keys = make(map[string]json.RawMessage)
	o.element = s.recent.PushFront(o)
	s.objects[o.id] = o
	if o.identity != "" {
		s.identities[o.identity] = o
	}
}

// drop takes an object out of the index. Its users keep it; its files go with the last of them.
func (s *Store) drop(o *Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(o)
}

// discard is drop for an object whose sidecar is not needed any more, though it may have users for long.
func (s *Store) discard(o *Object) {
	s.drop(o)
	s.save(o)
}

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
	stats.Objects, stats.Bytes, stats.MaxBytes = int64(len(s.objects)), s.used, s.options.MaxSize
	if last := s.recent.Back(); last != nil {
		stats.OldestUse = time.Unix(last.Value.(*Object).lastUse.Load(), 0)
	}
	return stats
}

// Keys returns the keys and the lengths of their objects, -1 where they are not known yet.
func (s *Store) Keys() map[string]int64 {
	s.mu.Lock()
	keys := maps.Clone(s.keys)
	s.mu.Unlock()
	sizes := make(map[string]int64, len(keys))
	for key, o := range keys {
		sizes[key] = o.Size()
	}
	return sizes
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
