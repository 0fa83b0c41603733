// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

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
	// The unit in which bytes are fetched and given out. Default: 1 MiB.
	Block int64 `json:"block,omitempty"`
	// How many ranges of one image are fetched at once. Default: 4.
	Parallel int `json:"parallel,omitempty"`
	// How many bytes per second all transfers from origins together may take. Default: no limit.
	LineRate int64 `json:"line_rate,omitempty"`
	// How many transfers to nodes there may be at once; who comes then is told to come back. Default: no limit.
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
// beside the process that has the directory.
type storage struct {
	directory string
	admission admission
	permits   permits

	mu     sync.Mutex
	store  *disk.Store
	cache  *shared.Cache
	pinned map[*Handler][]string // what each site wants kept
	limits map[*Handler]limits   // that each site has been started with
}

// limits are what a reload may change of an open store.
type limits struct{ maxSize, minFree int64 }

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
	h.storage, h.storeOptions = value.(*storage), disk.Options{MaxSize: c.store.MaxSize, MinFree: *c.store.MinFree,
		Block: c.store.Block, Parallel: c.store.Parallel}
	h.maxTransfers, h.pace = c.store.MaxTransfers, c.store.Pace
	for _, m := range h.mirrors {
		m.permits = &h.storage.permits
	}
	return nil
}

// startStore opens the store, or has an open one get this configuration's limits.
func (h *Handler) startStore(log *slog.Logger) error {
	h.site.client.Store(h.client)
	if h.storage == nil {
		return nil
	}
	options := h.storeOptions
	options.Log = log
	if err := h.storage.open(h, options); err != nil {
		return optionError("store", h.Store.Directory, err, "see docs/operating.md")
	}
	return nil
}

func (s *storage) open(h *Handler, options disk.Options) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		store, err := disk.Open(s.directory, options)
		if err != nil {
			return err
		}
		s.store, s.cache = store, shared.New(store)
	}
	if s.limits == nil {
		s.limits = make(map[*Handler]limits)
	}
	s.limits[h] = limits{options.MaxSize, options.MinFree}
	s.limitLocked()
	return nil
}

// unlimit takes back what a handler gave to open.
func (s *storage) unlimit(h *Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.limits[h]; ok {
		delete(s.limits, h)
		s.limitLocked()
	}
}

// limitLocked sets the limits once all handlers have the same. Those of one configuration do; so while two configurations
// are there those of the older one rule, and a new one that cannot start has evicted nothing.
func (s *storage) limitLocked() {
	var common limits
	for _, l := range s.limits {
		if common != (limits{}) && l != common {
			return
		}
		common = l
	}
	if len(s.limits) > 0 {
		s.store.SetLimits(common.maxSize, common.minFree)
	}
}

// shared returns the cache in the store. Nil: it is not open yet.
func (s *storage) shared() *shared.Cache {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cache
}

// pin keeps from eviction what a handler wants, beside what others want. Without keys it wants nothing any more.
func (s *storage) pin(h *Handler, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pinned == nil {
		s.pinned = make(map[*Handler][]string)
	}
	if s.pinned[h] = keys; len(keys) == 0 {
		delete(s.pinned, h)
	}
	var all []string
	for _, keys := range s.pinned {
		all = append(all, keys...)
	}
	if s.store != nil {
		s.store.Pin(all)
	}
}

// Destruct closes the store when no configuration uses it any more.
func (s *storage) Destruct() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil
	}
	s.cache.Close()
	return s.store.Close()
}

// releaseStore gives back the reference that acquireStore took.
func (h *Handler) releaseStore() error {
	if h.storage == nil {
		return nil
	}
	h.storage.pin(h, nil)
	_, err := stores.Delete(h.storage.directory)
	return err
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
