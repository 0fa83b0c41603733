// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

var (
	errNone = errors.New("no such thing")
	errDown = errors.New("the source is down")
)

// source answers each question with how often it has been asked, or with an error.
type source struct {
	asked atomic.Int64
	err   atomic.Pointer[error]
	block atomic.Pointer[chan struct{}]
}

func (s *source) load(ctx context.Context, key string) (string, error) {
	n := s.asked.Add(1)
	if block := s.block.Load(); block != nil {
		select {
		case <-*block:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if err := s.err.Load(); err != nil {
		return "", *err
	}
	return fmt.Sprintf("%s %d", key, n), nil
}

func (s *source) fail(err error) {
	if err == nil {
		s.err.Store(nil)
		return
	}
	s.err.Store(&err)
}

var (
	seconds = &Terms[string]{Value: 8 * time.Second, Negative: 2 * time.Second}
	hour    = &Terms[string]{Value: time.Hour, Negative: time.Hour}
)

// inBubble runs a test with a cache on a fake clock. The group of a value is its first word's first letter.
func inBubble(t *testing.T, test func(t *testing.T, c *Cache[string], s *source)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config[string]{
			Group:      func(v string) string { return v[:1] },
			Negative:   func(err error) bool { return errors.Is(err, errNone) },
			MaxEntries: 1000,
		})
		if err != nil {
			t.Fatal(err)
		}
		test(t, c, new(source))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// get asks and compares the value and status.
func get(t *testing.T, c *Cache[string], s *source, key, want string, status cache.Status) {
	t.Helper()
	e, err := c.Get(t.Context(), key, seconds, s.load)
	if e.Value != want || e.Status != status {
		t.Errorf("Get(%q) = %q, %s, %v; want %q, %s", key, e.Value, e.Status.Label(), err, want, status.Label())
	}
}

// pass lets time go by in the bubble and what it sets off finish.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestFreshness(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		get(t, c, s, "a", "a 1", cache.Miss)
		pass(5 * time.Second)
		get(t, c, s, "a", "a 1", cache.Hit)
		pass(3 * time.Second)
		get(t, c, s, "a", "a 2", cache.Miss)
	})
}

func TestRenewalBeforeExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		get(t, c, s, "a", "a 1", cache.Miss)
		pass(7 * time.Second)
		release := make(chan struct{})
		s.block.Store(&release)
		get(t, c, s, "a", "a 1", cache.Hit) // fresh yet, and sets off one renewal
		synctest.Wait()
		get(t, c, s, "a", "a 1", cache.Hit)
		close(release)
		pass(2 * time.Second)
		get(t, c, s, "a", "a 2", cache.Hit)
		if n := s.asked.Load(); n != 2 {
			t.Errorf("the source was asked %d times, want 2", n)
		}
	})
}

func TestNegativeAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		s.fail(errNone)
		for range 3 {
			if _, err := c.Get(t.Context(), "a", seconds, s.load); !errors.Is(err, errNone) {
				t.Errorf("Get = %v, want %v", err, errNone)
			}
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("the source was asked %d times, want once", n)
		}
		pass(2 * time.Second)
		s.fail(nil)
		get(t, c, s, "a", "a 2", cache.Miss)
	})
}

// TestStaleNegative tells of an old negative answer beside an error, unless it was forgotten.
func TestStaleNegative(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		s.fail(errNone)
		_, _ = c.Get(t.Context(), "a", seconds, s.load)
		pass(time.Minute)
		s.fail(errDown)
		want := Entry[string]{Age: time.Minute, Negative: errNone}
		if e, err := c.Get(t.Context(), "a", seconds, s.load); e != want || !errors.Is(err, errDown) {
			t.Errorf("Get = %+v, %v; want %+v", e, err, want)
		}
		c.Forget("a")
		if e, err := c.Get(t.Context(), "a", seconds, s.load); e != (Entry[string]{}) || !errors.Is(err, errDown) {
			t.Errorf("Get = %+v, %v, after it was forgotten", e, err)
		}
	})
}

func TestStaleWithError(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		get(t, c, s, "a", "a 1", cache.Miss)
		pass(time.Minute)
		s.fail(errDown)
		e, err := c.Get(t.Context(), "a", seconds, s.load)
		if !errors.Is(err, errDown) || e.Value != "a 1" || e.Status != cache.Stale || e.Age != time.Minute {
			t.Errorf("Get = %+v, %v; want the old value, its age and the error", e, err)
		}
		if _, err := c.Get(t.Context(), "b", seconds, s.load); !errors.Is(err, errDown) {
			t.Errorf("Get = %v, want %v", err, errDown)
		}
		s.fail(nil)
		get(t, c, s, "a", "a 4", cache.Miss) // errors are not kept
	})
}

func TestForget(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		get(t, c, s, "a1", "a1 1", cache.Miss)
		get(t, c, s, "a2", "a2 2", cache.Miss)
		get(t, c, s, "b", "b 3", cache.Miss)
		c.Forget("a")
		get(t, c, s, "a1", "a1 4", cache.Miss)
		get(t, c, s, "a2", "a2 5", cache.Miss)
		get(t, c, s, "b", "b 3", cache.Hit)
		c.ForgetKey("a1") // and its group with it
		get(t, c, s, "a2", "a2 6", cache.Miss)
	})
}

// TestForgetDuringAFill is about an answer that was on its way when it ceased to be true: whoever asked gets it, but
// nobody gets it later.
func TestForgetDuringAFill(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		release := make(chan struct{})
		s.block.Store(&release)
		go c.Get(t.Context(), "a", seconds, s.load)
		synctest.Wait()
		c.Forget("a")
		close(release)
		synctest.Wait()
		get(t, c, s, "a", "a 2", cache.Miss)
	})
}

func TestTermsBelongToWhoAsks(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		get(t, c, s, "a", "a 1", cache.Miss)
		pass(3 * time.Second)
		if e, err := c.Get(t.Context(), "a", &Terms[string]{Value: 2 * time.Second}, s.load); e.Value != "a 2" || err != nil {
			t.Errorf("Get = %q, %v for who wants nothing older than 2 s; want a 2", e.Value, err)
		}
		pass(3 * time.Second)
		get(t, c, s, "a", "a 2", cache.Hit)
	})
}

func TestColdStormIsOneFill(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		release := make(chan struct{})
		s.block.Store(&release)
		var group sync.WaitGroup
		hangUp, gone := context.WithCancel(t.Context())
		for i := range 1000 {
			ctx := t.Context()
			if i%10 == 0 {
				ctx = hangUp
			}
			group.Go(func() {
				e, err := c.Get(ctx, "a", seconds, s.load)
				if ctx == hangUp {
					return
				}
				if e.Value != "a 1" || err != nil {
					t.Errorf("Get = %q, %v", e.Value, err)
				}
			})
		}
		synctest.Wait()
		gone()
		close(release)
		group.Wait()
		get(t, c, s, "a", "a 1", cache.Hit)
		if n := s.asked.Load(); n != 1 {
			t.Errorf("the source was asked %d times, want once", n)
		}
	})
}

// TestFloodStaysBounded asks for 200,000 keys and wants the memory of a thousand.
func TestFloodStaysBounded(t *testing.T) {
	c, err := New(Config[string]{MaxEntries: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	value := func(context.Context, string) (string, error) { return strings.Repeat("x", 512), nil }
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 200_000 {
		if _, err := c.Get(t.Context(), fmt.Sprint("key ", i), hour, value); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes for 1000 entries", grown)
	}
	runtime.KeepAlive(c)
}

func BenchmarkHit(b *testing.B) {
	c, err := New(Config[string]{MaxEntries: 1000})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s := new(source)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Get(b.Context(), "key", hour, s.load); err != nil {
			b.Fatal(err)
		}
	}
}

// TestForgetDuringAFillOfAnother is about who asks after an answer has ceased to be true, while it is still on its way to
// somebody else: that fill is not theirs to share.
func TestForgetDuringAFillOfAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		release := make(chan struct{})
		s.block.Store(&release)
		var group sync.WaitGroup
		group.Go(func() { get(t, c, s, "a", "a 1", cache.Miss) })
		synctest.Wait()
		c.Forget("a")
		for range 3 {
			group.Go(func() {
				if e, err := c.Get(t.Context(), "a", seconds, s.load); e.Value != "a 2" || err != nil {
					t.Errorf("Get = %q, %v after Forget; want the answer to a question put after it, a 2", e.Value, err)
				}
			})
		}
		synctest.Wait()
		close(release)
		group.Wait()
		if n := s.asked.Load(); n != 2 {
			t.Errorf("the source was asked %d times, want 2", n)
		}
	})
}

// TestCloseWhileOthersAsk closes a cache that is in use: requests of an old configuration outlive its caches. Nobody may
// wait for ever or fail for it.
func TestCloseWhileOthersAsk(t *testing.T) {
	t.Parallel()
	for range 20 {
		c, err := New(Config[string]{MaxEntries: 1000})
		if err != nil {
			t.Fatal(err)
		}
		value := func(context.Context, string) (string, error) { return "x", nil }
		var group sync.WaitGroup
		begun := make(chan struct{}, 8)
		for n := range 8 {
			group.Go(func() {
				for i := range 200 {
					if _, err := c.Get(t.Context(), fmt.Sprint(n, " ", i), hour, value); err != nil {
						t.Error(err)
						return
					}
					if i == 20 {
						begun <- struct{}{}
					}
				}
			})
		}
		<-begun
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
	}
}

// TestPatience has a source that takes longer than its users wait, and goes on.
func TestPatience(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		terms := &Terms[string]{Value: 8 * time.Second, Patience: time.Second, Late: 5 * time.Second,
			Usable: func(_ string, age time.Duration) bool { return age <= time.Minute }}
		block := func() (release func()) {
			blocked := make(chan struct{})
			s.block.Store(&blocked)
			return sync.OnceFunc(func() { close(blocked) })
		}
		slow := func(value string, usable bool) {
			t.Helper()
			before := time.Now()
			e, err := c.Get(t.Context(), "a", terms, s.load)
			if !errors.Is(err, ErrSlow) || e.Value != value || e.Usable != usable || time.Since(before) != time.Second {
				t.Errorf("Get = %+v, %v after %v; want ErrSlow after a second beside %q, usable %v", e, err, time.Since(before), value, usable)
			}
		}
		release := block()
		slow("", false) // nothing is known
		release()
		synctest.Wait()
		get(t, c, s, "a", "a 1", cache.Hit) // the question went on

		pass(30 * time.Second)
		release = block()
		slow("a 1", true)
		release()
		synctest.Wait()
		get(t, c, s, "a", "a 2", cache.Hit)

		pass(2 * time.Minute) // nothing is usable any more, and the source takes longer than an answer lives
		release = block()
		defer release()
		slow("a 2", false)
		pass(30 * time.Second)
		slow("a 2", false)
		release()
		synctest.Wait()
		pass(5*time.Second - 1)
		for range 2 { // it waits for who was told to come back
			if e, err := c.Get(t.Context(), "a", terms, s.load); err != nil || e.Value != "a 3" || e.TTL != 1 || e.Age < 35*time.Second {
				t.Errorf("Get = %+v, %v; want a 3", e, err)
			}
		}
		pass(1)
		if e, err := c.Get(t.Context(), "a", terms, s.load); err != nil || e.Value != "a 4" {
			t.Errorf("Get = %+v, %v; want a 4", e, err)
		}

		release = block()
		pass(7 * time.Second)
		c.Forget("a")
		slow("a 4", false) // what was forgotten is not usable
		pass(time.Second)
		c.Forget("a")
		release()
		synctest.Wait()
		if e, err := c.Get(t.Context(), "a", terms, s.load); err != nil || e.Value != "a 6" {
			t.Errorf("Get = %+v, %v; want a 6: what was on its way is forgotten, too", e, err)
		}
	})
}

// TestPatienceHasOneEnd has an answer forgotten while others wait for it: they wait for the next one, and no longer in all.
func TestPatienceHasOneEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, c *Cache[string], s *source) {
		terms := &Terms[string]{Value: 8 * time.Second, Patience: time.Second}
		slow := func(ctx context.Context, key string) (string, error) {
			select {
			case <-time.After(900 * time.Millisecond):
			case <-ctx.Done():
			}
			return key, ctx.Err()
		}
		go c.Get(t.Context(), "a", terms, slow)
		synctest.Wait()
		c.Forget("a")
		before := time.Now()
		if _, err := c.Get(t.Context(), "a", terms, slow); !errors.Is(err, ErrSlow) || time.Since(before) != time.Second {
			t.Errorf("Get = %v after %v; want ErrSlow after a second", err, time.Since(before))
		}
	})
}

// TestCloseEndsWhatNobodyWaitsFor has one fill with a user and one without.
func TestCloseEndsWhatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config[string]{MaxEntries: 1000})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		ended := make(map[string]error)
		var mu sync.Mutex
		load := func(ctx context.Context, key string) (string, error) {
			var err error
			select {
			case <-release:
			case <-ctx.Done():
				err = ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			ended[key] = err
			return key, err
		}
		if _, err := c.Get(t.Context(), "left", &Terms[string]{Patience: time.Second}, load); !errors.Is(err, ErrSlow) {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() {
			if v, err := c.Get(t.Context(), "waited for", &Terms[string]{Patience: time.Minute}, load); v.Value != "waited for" || err != nil {
				t.Errorf("Get = %q, %v", v.Value, err)
			}
		})
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		mu.Lock()
		if err, ok := ended["left"]; !ok || err == nil {
			t.Errorf("what nobody waits for goes on after Close (%v, %v)", ok, err)
		}
		mu.Unlock()
		close(release)
		group.Wait()
	})
}
