// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

func itoa(n int) string { return strconv.Itoa(n) }

// plenty is an origin that is faster than any line.
func plenty(n int) func(io.Writer, *http.Request) error {
	text := strings.Repeat("x", n)
	return func(w io.Writer, r *http.Request) error {
		return script("HTTP/1.1 200 OK\nContent-Length: "+itoa(n), text)(w, r)
	}
}

func lineOf(rate int64) *Line {
	l := new(Line)
	l.SetRate(rate)
	return l
}

// TestLineIsShared lets four transfers of 1 MB share 1 MB/s.
func TestLineIsShared(t *testing.T) {
	const size, rate, transfers = 1_000_000, 1_000_000, 4
	inBubble(t, func(c *Config) { c.Line = lineOf(rate) }, plenty(size), func(t *testing.T, s *Source, _ *pipeOrigin) {
		begin := time.Now()
		half := make(chan time.Duration)
		ends := make(chan time.Duration)
		for range transfers {
			go func() {
				p, err := s.Open(t.Context(), cache.Ask{})
				if err != nil {
					t.Error(err)
				}
				defer p.Body.Close()
				n, _ := io.CopyN(io.Discard, p.Body, size/2)
				half <- time.Since(begin)
				m, err := io.Copy(io.Discard, p.Body)
				if n+m != size || err != nil {
					t.Errorf("%d bytes, then %v", n+m, err)
				}
				ends <- time.Since(begin)
			}()
		}
		// A twentieth of a second's worth is there at the beginning; a share is a chunk long at least.
		const tolerance = 300 * time.Millisecond
		for range transfers {
			if took := <-half; (took - 2*time.Second).Abs() > tolerance {
				t.Errorf("half of a transfer took %s, want 2 s", took)
			}
		}
		for range transfers {
			if took := <-ends; (took - 4*time.Second).Abs() > tolerance {
				t.Errorf("a transfer took %s, want 4 s", took)
			}
		}
	})
}

// TestSlowLineIsNotIdle waits longer for the line than a body may be idle.
func TestSlowLineIsNotIdle(t *testing.T) {
	change := func(c *Config) { c.Line, c.IdleBody = lineOf(100), time.Second }
	inBubble(t, change, plenty(2000), func(t *testing.T, s *Source, _ *pipeOrigin) {
		begin := time.Now()
		p, err := s.Open(t.Context(), cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Body.Close()
		n, err := io.Copy(io.Discard, p.Body)
		if took := time.Since(begin).Round(time.Second); n != 2000 || err != nil || took != 15*time.Second {
			t.Errorf("%d bytes in %s, then %v; want 2000 in 15 s", n, took, err)
		}
	})
}

// TestLineDoesNotHoldUp ends a transfer that waits for the line.
func TestLineDoesNotHoldUp(t *testing.T) {
	inBubble(t, func(c *Config) { c.Line = lineOf(1) }, plenty(2000), func(t *testing.T, s *Source, _ *pipeOrigin) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		p, err := s.Open(ctx, cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Body.Close()
		if _, err := io.Copy(io.Discard, p.Body); err == nil || time.Since(begin) != 5*time.Second {
			t.Errorf("after %s: %v; want the context's end after 5 s", time.Since(begin), err)
		}
	})
}

// TestLineChanges makes a line slower, so that what was let through is more than a burst, then fast, and then as fast as
// it goes.
func TestLineChanges(t *testing.T) {
	l := lineOf(1_000_000)
	inBubble(t, func(c *Config) { c.Line = l }, plenty(3_000_000), func(t *testing.T, s *Source, _ *pipeOrigin) {
		p, err := s.Open(t.Context(), cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Body.Close()
		for _, step := range []struct{ rate, bytes, seconds int64 }{{1_000_000, 1_000_000, 1}, {1000, 100_000, 100}, {100_000, 500_000, 5}, {0, 1_000_000, 0}} {
			l.SetRate(step.rate)
			begin := time.Now()
			n, err := io.CopyN(io.Discard, p.Body, step.bytes)
			took, want := time.Since(begin), time.Duration(step.seconds)*time.Second
			if err != nil || n != step.bytes || (took-want).Abs() > 300*time.Millisecond {
				t.Errorf("%d bytes in %s at %d a second, %v; want %s", n, took, step.rate, err, want)
			}
		}
		if d := l.spend(1 << 30); d != 0 {
			t.Errorf("a line without a limit makes wait for %s", d)
		}
		l.SetRate(1000)
		if d := l.spend(100_000); (d - 100*time.Second).Abs() > time.Second {
			t.Errorf("more than a burst makes wait for %s, want 100 s", d)
		}
	})
}
