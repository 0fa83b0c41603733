// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"errors"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// holding is what a test of held answers asks with.
type holding struct {
	c     *Cache[string]
	s     *source
	held  Held[string]
	terms *Terms[string]
}

func (h *holding) hold(value string, age, part time.Duration, began uint64, restored bool) {
	now := time.Now()
	h.c.Hold(&h.held, "a", Offer[string]{Value: value, Asked: now.Add(-age), Since: now.Add(-part), Began: began, Restored: restored})
}

func (h *holding) want(t *testing.T, value string, status cache.Status, usable bool) {
	t.Helper()
	e, _ := h.c.Get(t.Context(), "a", h.terms, h.s.load)
	if e.Value != value || e.Status != status || e.Usable != usable {
		t.Errorf("Get = %q, %s, usable %v; want %q, %s, usable %v", e.Value, e.Status.Label(), e.Usable, value, status.Label(), usable)
	}
}

// TestHeld is about answers that somebody holds: freshness, windows and Forget are as for all others.
func TestHeld(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, h *holding){
		"fresh, without a question": func(t *testing.T, h *holding) {
			h.hold("a held", time.Second, time.Second, 0, false)
			h.want(t, "a held", cache.Hit, false)
		},
		"an old part makes it old": func(t *testing.T, h *holding) {
			h.hold("a held", 0, time.Minute, 0, false)
			h.want(t, "a 1", cache.Miss, false)
		},
		"usable while the source is down": func(t *testing.T, h *holding) {
			h.s.fail(errDown)
			h.hold("a held", time.Minute, time.Minute, 0, false)
			h.want(t, "a held", cache.Stale, true)
		},
		"past its window by a part": func(t *testing.T, h *holding) {
			h.s.fail(errDown)
			h.hold("a held", time.Minute, 2*time.Hour, 0, false)
			h.want(t, "a held", cache.Stale, false)
		},
		"restored is never fresh": func(t *testing.T, h *holding) {
			h.hold("a held", 0, 0, 0, true)
			h.want(t, "a 1", cache.Miss, false)
		},
		"restored is usable": func(t *testing.T, h *holding) {
			h.s.fail(errDown)
			h.hold("a held", 0, 0, 0, true)
			h.want(t, "a held", cache.Stale, true)
		},
		"asked for before it was forgotten": func(t *testing.T, h *holding) {
			began := h.c.Epoch()
			h.c.Forget("a")
			h.s.fail(errDown)
			h.hold("a held", 0, 0, began, false)
			h.want(t, "a held", cache.Stale, false)
			if !h.c.Forgotten("a", began) || h.c.Forgotten("a", h.c.Epoch()) {
				t.Error("Forgotten is wrong about the epoch before or after")
			}
		},
		"asked for after it was forgotten": func(t *testing.T, h *holding) {
			h.c.Forget("a")
			h.hold("a held", 0, 0, h.c.Epoch(), false)
			h.want(t, "a held", cache.Hit, false)
		},
		"newer than what was asked for": func(t *testing.T, h *holding) {
			h.want(t, "a 1", cache.Miss, false)
			pass(time.Second)
			h.hold("a held", 0, 0, 0, false)
			h.want(t, "a held", cache.Hit, false)
		},
		"older than what was asked for": func(t *testing.T, h *holding) {
			h.want(t, "a 1", cache.Miss, false)
			h.hold("a held", time.Second, time.Second, 0, false)
			h.want(t, "a 1", cache.Hit, false)
		},
		"older than an answer that there is none": func(t *testing.T, h *holding) {
			h.s.fail(errNone)
			h.want(t, "", cache.Miss, false)
			h.hold("a held", time.Second, time.Second, 0, false)
			if _, err := h.c.Get(t.Context(), "a", h.terms, h.s.load); !errors.Is(err, errNone) {
				t.Errorf("Get = %v, want %v", err, errNone)
			}
		},
		"dropped": func(t *testing.T, h *holding) {
			h.hold("a held", 0, 0, h.c.Epoch(), false)
			h.c.Drop(&h.held, "a")
			h.s.fail(errDown)
			h.want(t, "", cache.Miss, false)
		},
		"dropped, with what was asked for": func(t *testing.T, h *holding) {
			h.want(t, "a 1", cache.Miss, false)
			h.c.Drop(&h.held, "a")
			h.s.fail(errDown)
			h.want(t, "a 1", cache.Stale, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
				h := &holding{c: c, s: s, terms: &Terms[string]{Value: 8 * time.Second, Negative: 2 * time.Second,
					Usable: func(_ string, age time.Duration) bool { return age <= time.Hour }}}
				h.terms.Held = &h.held
				test(t, h)
			})
		})
	}
}

// TestHeldIsNotOthers has somebody ask whose terms name no held answers.
func TestHeldIsNotOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		h := &holding{c: c, s: s}
		h.hold("a held", 0, 0, 0, false)
		get(t, c, s, "a", "a 1", cache.Miss)
	})
}

// TestRenewalIsOneQuestion has stale answers asked for by users with patience: the question that goes on for them is the same
// that they wait for, even if it is begun when that has been answered.
func TestRenewalIsOneQuestion(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		terms := &Terms[string]{Value: 8 * time.Second, Patience: time.Second, Usable: func(string, time.Duration) bool { return true }}
		for n := range int64(1000) {
			if _, err := c.Get(t.Context(), "a", terms, s.load); err != nil {
				t.Fatal(err)
			}
			pass(10 * time.Second)
			if asked := s.asked.Load(); asked != n+1 {
				t.Fatalf("the source was asked %d times for %d answers", asked, n+1)
			}
		}
	})
}
