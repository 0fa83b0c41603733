// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// Boots is what is remembered of the boots of the site's machines.
type Boots struct {
	// How many boots are kept, of all nodes together; the oldest goes first. Default: 2000.
	Max int `json:"max,omitempty"`
	// The file in which they are kept for the time after a restart, as an absolute path. It has no script and no secret in
	// it. Default: they are in memory only.
	File string `json:"file,omitempty"`
}

// mostBoots bounds max: a boot takes some kilobytes.
const mostBoots = 100_000

func (h *Handler) unmarshalBoots(d *caddyfile.Dispenser) error {
	h.Boots = new(Boots)
	switch args := d.RemainingArgs(); len(args) {
	case 0:
	case 1:
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			return d.Errf("option boots: %q is not a positive number; write one such as 2000", args[0])
		}
		h.Boots.Max = n
	default:
		return d.Errf("option boots has %d values; write: boots [<number>] { ... }", len(args))
	}
	return block(d, "boots", func(option string) error {
		if option == "file" {
			return one(d, &h.Boots.File, "<path>")
		}
		return d.Errf("unknown option %q of boots; it takes file", option)
	})
}

// resolveBoots fills in and checks the option boots.
func (h *Handler) resolveBoots(c *config) error {
	c.boots = Boots{Max: boots.DefaultLimit}
	if h.Boots == nil {
		return nil
	}
	switch n := h.Boots.Max; {
	case n < 0 || n > mostBoots:
		return optionError("boots", strconv.Itoa(n), errors.New("is not from 1 to "+strconv.Itoa(mostBoots)), "give a number such as 2000")
	case n > 0:
		c.boots.Max = n
	}
	var err error
	if c.boots.File, err = fill("boots file", h.Boots.File); err != nil {
		return err
	}
	if c.boots.File != "" && !filepath.IsAbs(c.boots.File) {
		return optionError("boots file", h.Boots.File, errors.New("is not an absolute path"), "give one such as /var/lib/ironic-edge/boots.jsonl")
	}
	return nil
}

// checkBoots refuses what other handlers of the configuration want otherwise.
func (h *Handler) checkBoots(others []*Handler) error {
	for _, other := range others {
		switch mine, theirs := h.bootOptions, other.bootOptions; {
		case h.site == other.site && mine != theirs:
			return optionError("boots", strings.TrimSpace(fmt.Sprint(mine.Max, " ", mine.File)), errors.New("is not what another site of the same Ironic has"),
				"write the same in both: they share one timeline")
		case h.site != other.site && mine.File != "" && mine.File == theirs.File:
			return optionError("boots file", h.Boots.File, errors.New("is the file of a site of another Ironic"), "give each its own")
		}
	}
	return nil
}

// timeline is a site's timeline, with who looks after it.
type timeline struct {
	*boots.Timeline
	emissions chan emission
	done      chan struct{}
	traces    traces
	speaker   atomic.Pointer[Handler] // by whose configuration is logged and emitted; nil: none runs

	mu      sync.Mutex
	running []*Handler // of the configurations that run, the oldest first: that one has the say
	options Boots      // that it runs with
	stop    func()     // ends what looks after it; nil: nothing does yet
}

func newTimeline() *timeline {
	t := &timeline{Timeline: boots.New(boots.DefaultLimit), emissions: make(chan emission, maxEmissions), done: make(chan struct{})}
	t.traces.newRoots, t.traces.mark = newRoots, t.MarkTraced
	return t
}

// startBoots has this handler's options rule once it is the oldest that runs: a configuration that fails to start has
// changed nothing.
func (h *Handler) startBoots() error {
	t := h.site.boots
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = append(t.running, h)
	if err := t.applyLocked(); err != nil {
		t.running = slices.DeleteFunc(t.running, func(other *Handler) bool { return other == h })
		return optionError("boots file", h.Boots.File, err, "give a path that the edge may write")
	}
	return nil
}

// stopBoots takes this handler's say away.
func (h *Handler) stopBoots() {
	if h.site == nil {
		return
	}
	t := h.site.boots
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = slices.DeleteFunc(t.running, func(other *Handler) bool { return other == h })
	if err := t.applyLocked(); err != nil {
		h.logger.Error("boots are kept in memory only: their file cannot be used", zap.Error(err))
	}
}

// applyLocked has the options of the oldest handler rule.
func (t *timeline) applyLocked() error {
	if len(t.running) == 0 {
		t.speaker.Store(nil)
		return nil
	}
	t.speaker.Store(t.running[0])
	options := t.running[0].bootOptions
	if t.stop != nil && options == t.options {
		return nil
	}
	if t.stop == nil {
		go t.emitAll() // until close
	} else {
		t.stop()
	}
	t.options = options
	t.SetLimit(options.Max)
	var journal *boots.Journal
	var err error
	if options.File != "" {
		if journal, err = boots.OpenJournal(options.File, t.Timeline); err != nil {
			t.options = Boots{} // which the next to come finds different
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // until stop
		defer close(ended)
		t.Run(ctx, journal, t.tell)
	}()
	t.stop = func() {
		cancel()
		<-ended
		_ = journal.Close()
	}
	return err
}

// close ends what looks after the timeline, when no configuration uses it any more.
func (t *timeline) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
	t.traces.close(t.Timeline, t.options.File != "")
	close(t.done)
}
