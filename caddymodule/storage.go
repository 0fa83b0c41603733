// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/cache/shared"
)

// Store is where images are kept, so that each crosses the line once.
type Store struct {
	// The directory. It is made if it is not there; another process must not have it.
	Directory string `json:"directory"`
	// How many bytes of images are kept. Default: 100 GiB.
	MaxSize int64 `json:"max_size,omitempty"`
	// How many bytes of the file system are left free. Default: 5 GiB.
	MinFree *int64 `json:"min_free,omitempty"`
	// The unit in which bytes are fetched and given out. A change is for images that come from then on. Default: 1 MiB.
	Block int64 `json:"block,omitempty"`
	// How many ranges of one image are fetched at once. From 2 on, half as many more are asked for while others end. A
	// change is for fetches that begin from then on. Default: 4.
	Parallel int `json:"parallel,omitempty"`
	// How many bytes per second all transfers from origins together may take. Default: no limit.
	LineRate int64 `json:"line_rate,omitempty"`
	// How many transfers to nodes there may be at once; who comes then is told to come back. A HEAD is no transfer. Who was
	// given a range keeps its place for 30 seconds. Default: no limit.
	MaxTransfers int `json:"max_transfers,omitempty"`
	// How many bytes per second one node may get. Default: no limit.
	Pace int64 `json:"pace,omitempty"`
}

// Registry is how to talk to an OCI registry.
type Registry struct {
	// It has no TLS.
	Plain bool `json:"plain,omitempty"`
	// The user by whom the registry knows us; empty where the password is a token.
	Username string `json:"username,omitempty"`
	// The password, as a placeholder: {env.NAME} or {file./path}.
	Password string `json:"password,omitempty"`
}

const (
	defaultMaxSize  = 100 << 30
	defaultMinFree  = 5 << 30
	defaultBlock    = 1 << 20
	defaultParallel = 4
)

// stores holds the open stores by directory: a reload finds them filled and filling.
var stores = caddy.NewUsagePool()

// storage is a store that is opened when the configuration starts, not when it is checked: `validate` must be able to run
// beside the process that has the directory. It is closed when the last handler gives it back, and may be opened again
// then by who has taken it meanwhile.
type storage struct {
	directory string
	admission admission
	permits   permits
	line      origin.Line // to all origins of the directory

	turn sync.Mutex // held while the store is opened or closed, and taken before mu; requests do not wait for it

	sent atomic.Int64 // bytes, to clients

	mu          sync.Mutex
	handlers    int // that may use it
	store       *disk.Store
	cache       *shared.Cache
	log         *logSwitch
	wanted      map[*Handler]map[string]bool // what each site wants kept, by key, and whether it is there
	generations []generation                 // that have been started with it, the newest last
}

// generation is what a handler wants of its store.
type generation struct {
	handler *Handler
	options storeOptions
	log     slog.Handler
}

// storeOptions are the options of which a store has one. All handlers of a configuration give the same.
type storeOptions struct {
	maxSize, minFree, block int64
	parallel                int
	lineRate                int64
}

// acquireStore takes a reference to the directory's store.
func (h *Handler) acquireStore(c *config) error {
	if c.store.Directory == "" {
		return nil
	}
	value, _, err := stores.LoadOrNew(c.store.Directory, func() (caddy.Destructor, error) {
		return &storage{directory: c.store.Directory}, nil
	})
	if err != nil {
		return err
	}
	h.storage = value.(*storage)
	h.storage.mu.Lock()
	h.storage.handlers++
	h.storage.mu.Unlock()
	h.storeOptions = storeOptions{c.store.MaxSize, *c.store.MinFree, c.store.Block, c.store.Parallel, c.store.LineRate}
	h.maxTransfers, h.pace = c.store.MaxTransfers, c.store.Pace
	for _, m := range h.mirrors {
		m.permits = &h.storage.permits
	}
	return nil
}

// startStore opens the store, or has an open one follow this configuration.
func (h *Handler) startStore(log *slog.Logger) error {
	h.site.client.Store(h.client)
	if h.storage == nil {
		return nil
	}
	if err := h.storage.open(generation{h, h.storeOptions, log.Handler()}); err != nil {
		return optionError("store", h.Store.Directory, err, "see docs/operating.md")
	}
	return nil
}

// open opens the store for a handler, after whoever closes it.
func (s *storage) open(g generation) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	opened := s.store != nil
	s.mu.Unlock()
	if !opened {
		log := newLogSwitch(g.log)
		store, err := disk.Open(s.directory, disk.Options{MaxSize: g.options.maxSize, MinFree: g.options.minFree,
			Block: g.options.block, Parallel: g.options.parallel, Log: slog.New(log), OnBad: s.tellBad})
		if err != nil {
			return err
		}
		cache := shared.New(store)
		s.mu.Lock()
		s.store, s.cache, s.log = store, cache, log
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generations = append(s.generations, g)
	s.pinLocked() // what was wanted before it was open
	s.followLocked()
	return nil
}

// tellBad emits the event for an object that was taken out of the store, for the sites that use it.
func (s *storage) tellBad(id string, keys []string, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := make(map[*site]bool)
	for _, g := range s.generations {
		if !told[g.handler.site] {
			told[g.handler.site] = true
			g.handler.site.boots.emit(eventObjectCorrupt, map[string]any{"object": id, "keys": keys, "problem": why})
		}
	}
}

// left takes back what a handler gave to open.
func (s *storage) left(h *Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.generations)
	s.generations = slices.DeleteFunc(s.generations, func(g generation) bool { return g.handler == h })
	if n := len(s.generations); n > 0 && n < before {
		s.followLocked()
	}
}

// followLocked gives the store the options of the newest generation, which can be taken back if it cannot start. Limits
// that make it smaller cannot, since what was evicted is gone: they are set once all handlers have the same, which those
// of one configuration do, so that while two configurations are there those of the older one rule.
func (s *storage) followLocked() {
	newest := s.generations[len(s.generations)-1]
	s.log.set(newest.log)
	s.line.SetRate(newest.options.lineRate)
	if newest.options.block != s.store.Block() {
		slog.New(newest.log).Info("the store's block has changed; images that are in the store keep theirs", slog.String("store", s.directory),
			slog.Int64("bytes", newest.options.block))
	}
	s.store.SetFills(newest.options.block, newest.options.parallel)
	for _, g := range s.generations {
		if g.options.maxSize != newest.options.maxSize || g.options.minFree != newest.options.minFree {
			return
		}
	}
	s.store.SetLimits(newest.options.maxSize, newest.options.minFree)
}

// shared returns the cache in the store. Nil: there is none, or it is not open yet.
func (s *storage) shared() *shared.Cache {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cache
}

// opened returns the store. Nil: there is none, or it is not open yet.
func (s *storage) opened() *disk.Store {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// pin keeps from eviction what a handler wants, beside what others want. Without keys it wants nothing any more.
func (s *storage) pin(h *Handler, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		wanted[key] = s.wanted[h][key]
	}
	if s.wanted == nil {
		s.wanted = make(map[*Handler]map[string]bool)
	}
	if s.wanted[h] = wanted; len(wanted) == 0 {
		delete(s.wanted, h)
	}
	s.pinLocked()
}

func (s *storage) pinLocked() {
	if s.store == nil {
		return
	}
	var all []string
	for _, wanted := range s.wanted {
		all = slices.AppendSeq(all, maps.Keys(wanted))
	}
	s.store.Pin(all)
}

// arrived notes whether something that a handler wants is there.
func (s *storage) arrived(h *Handler, key string, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.wanted[h][key]; ok {
		s.wanted[h][key] = there
	}
}

// prefetched is how many things all handlers want, and how many of them are there.
func (s *storage) prefetched() (wanted, there int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]bool)
	for _, keys := range s.wanted {
		for key, is := range keys {
			all[key] = all[key] || is
		}
	}
	for _, is := range all {
		if is {
			there++
		}
	}
	return len(all), there
}

// Destruct is called when nobody has the storage. The last one to leave has closed the store.
func (s *storage) Destruct() error { return nil }

// leave is the end of a handler's use. The last one closes the store, unless another one comes first. Nobody else waits
// for that but who wants to open it again.
func (s *storage) leave() error {
	s.mu.Lock()
	s.handlers--
	last := s.handlers == 0
	s.mu.Unlock()
	if !last {
		return nil
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	store, cache := s.store, s.cache
	if s.handlers > 0 || store == nil {
		s.mu.Unlock()
		return nil
	}
	s.store, s.cache = nil, nil
	s.mu.Unlock()
	cache.Close()
	return store.Close()
}

// releaseStore gives back the reference that acquireStore took, once the store is closed: who takes one meanwhile gets
// this storage, and waits, and not a new one, which would find the directory locked.
func (h *Handler) releaseStore() error {
	if h.storage == nil {
		return nil
	}
	h.storage.pin(h, nil)
	err := h.storage.leave()
	_, deleted := stores.Delete(h.storage.directory)
	return errors.Join(err, deleted)
}

// resolveStore fills in and checks the store and the mirrors.
func (h *Handler) resolveStore(c *config) error {
	if h.Store == nil {
		if len(h.Mirrors) > 0 {
			return fmt.Errorf("%s: option mirror %s needs a store; write: store <directory>", directive, h.Mirrors[0].Prefix)
		}
		if len(h.Prefetch) > 0 {
			return fmt.Errorf("%s: option prefetch needs a store; write: store <directory>", directive)
		}
		return nil
	}
	c.store = *h.Store
	s := &c.store
	var err error
	if s.Directory, err = fill("store", s.Directory); err != nil {
		return err
	}
	if !filepath.IsAbs(s.Directory) {
		return optionError("store", h.Store.Directory, errors.New("is not an absolute path"), "give one such as /var/lib/ironic-edge")
	}
	s.Directory = filepath.Clean(s.Directory)
	if s.MaxSize == 0 {
		s.MaxSize = defaultMaxSize
	}
	if s.MinFree == nil {
		s.MinFree = new(int64)
		*s.MinFree = defaultMinFree
	}
	if s.Block == 0 {
		s.Block = defaultBlock
	}
	if s.Parallel == 0 {
		s.Parallel = defaultParallel
	}
	size := func(option string, n int64, problem, remedy string) error {
		return optionError(option, strings.ReplaceAll(humanize.IBytes(uint64(max(n, 0))), " ", ""), errors.New(problem), remedy)
	}
	switch {
	case s.MaxSize < s.Block:
		return size("max_size", s.MaxSize, "is less than a block", "give a size such as 200GiB")
	case *s.MinFree < 0:
		return size("min_free", *s.MinFree, "is negative", "give a size such as 10GiB, or 0")
	case s.Block < 4<<10 || s.Block > 64<<20 || s.Block&(s.Block-1) != 0:
		return size("block", s.Block, "is no power of two from 4KiB to 64MiB", "give one such as 1MiB")
	case s.Parallel < 1 || s.Parallel > 32:
		return optionError("parallel", fmt.Sprint(s.Parallel), errors.New("is not from 1 to 32"), "give a number such as 4")
	case s.LineRate < 0:
		return size("line_rate", s.LineRate, "is negative", "give bytes per second such as 50MiB")
	case s.MaxTransfers < 0:
		return optionError("max_transfers", fmt.Sprint(s.MaxTransfers), errors.New("is negative"), "give a number such as 200")
	case s.Pace < 0:
		return size("pace", s.Pace, "is negative", "give bytes per second such as 10MiB")
	}
	return errors.Join(h.resolveMirrors(), h.resolvePrefetch(), h.resolveRegistries(c))
}

func (h *Handler) resolveRegistries(c *config) error {
	var errs []error
	c.registries = make(map[string]origin.Registry, len(h.Registries))
	for host, r := range h.Registries {
		if r.Password != "" && !isSecretPlaceholder(r.Password) {
			errs = append(errs, fmt.Errorf("%s: option registry %s: the password stands in clear in the configuration, which can be printed; "+
				"give it as {env.NAME} or {file./path}", directive, host))
			continue
		}
		user, errUser := fill("registry "+host+" user", r.Username)
		password, errPassword := fill("registry "+host+" password", r.Password)
		errs = append(errs, errUser, errPassword)
		c.registries[host] = origin.Registry{Plain: r.Plain, Username: user, Password: password}
	}
	return errors.Join(errs...)
}

func (h *Handler) resolvePrefetch() error {
	h.prefetchRefs = nil
	for _, value := range h.Prefetch {
		ref, err := fill("prefetch", value)
		if err != nil {
			return err
		}
		if _, err := h.follow(ref); err != nil && ref != wholeInventory {
			return optionError("prefetch", value, ofNoNode(err), "or give an http or https URL, or: inventory")
		}
		h.prefetchRefs = append(h.prefetchRefs, ref)
	}
	return nil
}

// line is what all transfers into the store share. Nil: there is no store.
func (h *Handler) line() *origin.Line {
	if h.storage == nil {
		return nil
	}
	return &h.storage.line
}
