// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// pipeOrigin is an origin at the other end of a net.Pipe, for tests on a fake clock. It writes what answer says and then
// waits for the next question on the same connection.
type pipeOrigin struct {
	answer func(w io.Writer, r *http.Request) error
	ends   context.Context // the requests', with the test
	dials  atomic.Int64
}

func (o *pipeOrigin) dial(context.Context, string, string) (net.Conn, error) {
	o.dials.Add(1)
	ours, theirs := net.Pipe()
	go func() { // ends when the client closes the connection
		defer theirs.Close()
		for in := bufio.NewReader(theirs); ; {
			r, err := http.ReadRequest(in)
			if err != nil || o.answer(theirs, r.WithContext(o.ends)) != nil {
				return
			}
		}
	}()
	return ours, nil
}

// inBubble runs a test on a fake clock, with a source whose origin answers as told.
func inBubble(t *testing.T, change func(*Config), answer func(io.Writer, *http.Request) error, test func(*testing.T, *Source, *pipeOrigin)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, change)
		o := &pipeOrigin{answer: answer, ends: t.Context()}
		c.transport.(*http.Transport).DialContext = o.dial
		test(t, source(t, c, "http://origin.example/image", nil), o)
	})
}

// script answers with pieces and pauses.
func script(header string, steps ...any) func(io.Writer, *http.Request) error {
	return func(w io.Writer, r *http.Request) error {
		_, err := io.WriteString(w, wire(header+"\n\n"))
		for _, s := range steps {
			switch s := s.(type) {
			case string:
				_, err = io.WriteString(w, s)
			case time.Duration:
				err = pause(r, s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// pause lets time go by unless the test ends.
func pause(r *http.Request, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

func TestIdleBody(t *testing.T) {
	t.Parallel()
	const five = "HTTP/1.1 200 OK\nContent-Length: 5"
	for name, tt := range map[string]struct {
		answer func(io.Writer, *http.Request) error
		want   string
		after  time.Duration
	}{
		"moves":          {script(five, "0", 29*time.Second, "1", 29*time.Second, "2", 29*time.Second, "34"), "200, 0+5 of 5: 01234", 87 * time.Second},
		"stalls":         {script(five, "01", time.Hour), "200, 0+5 of 5: 01, then the body made no progress for 30s", 30 * time.Second},
		"never begins":   {script(five, time.Hour), "200, 0+5 of 5: , then the body made no progress for 30s", 30 * time.Second},
		"stalls later":   {script(five, 20*time.Second, "01", time.Hour), "200, 0+5 of 5: 01, then the body made no progress for 30s", 50 * time.Second},
		"no last chunk":  {script("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", "1\r\n0\r\n", time.Hour), "200, 0+-1 of -1: 0, then the body made no progress for 30s", 30 * time.Second},
		"stalling error": {script("HTTP/1.1 503 Service Unavailable\nContent-Length: 5", "01", time.Hour), "refused 503: status 503, temporary", 30 * time.Second},
		"dripping error": {func(w io.Writer, r *http.Request) error {
			err := script("HTTP/1.1 503 Service Unavailable\nContent-Length: 500")(w, r)
			for err == nil {
				if err = pause(r, 9*time.Second); err == nil {
					_, err = io.WriteString(w, "x")
				}
			}
			return err
		}, "refused 503: status 503, temporary", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, tt.answer, func(t *testing.T, s *Source, _ *pipeOrigin) {
				begin := time.Now()
				p, err := s.Open(t.Context(), cache.Ask{})
				got := outcome(t, p, err)
				if took := time.Since(begin); got != tt.want || took != tt.after {
					t.Errorf("after %s: %s\nwant after %s: %s", took, got, tt.after, tt.want)
				}
			})
		})
	}
}

func TestIdleErrorIsTyped(t *testing.T) {
	inBubble(t, func(c *Config) { c.IdleBody = time.Minute }, script("HTTP/1.1 200 OK\nContent-Length: 5", "01", time.Hour),
		func(t *testing.T, s *Source, _ *pipeOrigin) {
			p, err := s.Open(t.Context(), cache.Ask{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Body.Close()
			b, err := io.ReadAll(p.Body)
			var idle *IdleError
			var timeout interface{ Timeout() bool }
			if !errors.As(err, &idle) || idle.After != time.Minute || !errors.As(err, &timeout) || !timeout.Timeout() || string(b) != "01" {
				t.Errorf("ReadAll = %q, %v; want 01 and an *IdleError", b, err)
			}
			if _, again := p.Body.Read(make([]byte, 1)); again != err { //nolint:errorlint // the very same
				t.Errorf("then Read = %v", again)
			}
		})
}

// TestSlowReader takes its time, which is no fault of the origin's.
func TestSlowReader(t *testing.T) {
	inBubble(t, nil, script("HTTP/1.1 200 OK\nContent-Length: 5", "01234"), func(t *testing.T, s *Source, _ *pipeOrigin) {
		p, err := s.Open(t.Context(), cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got, want := outcome(t, &cache.Part{Body: p.Body, Asked: time.Now(), Answered: time.Now()}, nil), "0, 0+0 of 0: 01234"; got != want {
			t.Errorf("read %s, want %s", got, want)
		}
	})
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(io.Writer, *http.Request) error{
		"silence": func(_ io.Writer, r *http.Request) error { return pause(r, time.Hour) },
		"a header that does not end": func(w io.Writer, r *http.Request) error {
			_, err := io.WriteString(w, "HTTP/1.1 200 OK\r\nX: ")
			for err == nil {
				if err = pause(r, time.Second); err == nil {
					_, err = io.WriteString(w, "x")
				}
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, answer, func(t *testing.T, s *Source, _ *pipeOrigin) {
				begin := time.Now()
				_, err := s.Open(t.Context(), cache.Ask{})
				var timeout net.Error
				if took := time.Since(begin); !errors.As(err, &timeout) || !timeout.Timeout() || took != defaultTimeout {
					t.Errorf("Open = %v after %s, want a timeout after %s", err, took, defaultTimeout)
				}
			})
		})
	}
}

func TestContextEndsBody(t *testing.T) {
	inBubble(t, nil, script("HTTP/1.1 200 OK\nContent-Length: 5", "01", time.Hour), func(t *testing.T, s *Source, _ *pipeOrigin) {
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		p, err := s.Open(ctx, cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { cancel(enough) })
		b, err := io.ReadAll(p.Body)
		if string(b) != "01" || !errors.Is(err, enough) {
			t.Errorf("ReadAll = %q, %v; want 01 and the context's cause", b, err)
		}
		p.Body.Close()
		if _, err := s.Open(ctx, cache.Ask{}); !errors.Is(err, enough) {
			t.Errorf("Open = %v, want the context's cause", err)
		}
	})
}

func TestCloseEndsRead(t *testing.T) {
	inBubble(t, nil, script("HTTP/1.1 200 OK\nContent-Length: 5", time.Hour), func(t *testing.T, s *Source, _ *pipeOrigin) {
		p, err := s.Open(t.Context(), cache.Ask{})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		time.AfterFunc(time.Second, func() { p.Body.Close() })
		if n, err := p.Body.Read(make([]byte, 5)); n != 0 || err == nil || errors.Is(err, io.EOF) || time.Since(begin) != time.Second {
			t.Errorf("Read = %d, %v after %s; want an error when it is closed", n, err, time.Since(begin))
		}
	})
}

// TestCloseReleases reads some of a body, closes it, and counts the connections that it then takes to ask again.
func TestCloseReleases(t *testing.T) {
	t.Parallel()
	of := func(n int) func(io.Writer, *http.Request) error {
		text := strings.Repeat("x", n)
		return func(w io.Writer, r *http.Request) error {
			return script("HTTP/1.1 200 OK\nContent-Length: "+itoa(n), text)(w, r)
		}
	}
	piece := script("HTTP/1.1 206 Partial Content\nContent-Range: bytes 2-4/9\nTransfer-Encoding: chunked", chunked("234"))
	for name, tt := range map[string]struct {
		answer func(io.Writer, *http.Request) error
		ask    cache.Ask
		read   int64
		dials  int64
		took   time.Duration
	}{
		"all":                        {of(100_000), cache.Ask{}, 100_000, 1, 0},
		"but for a little":           {of(100_000), cache.Ask{}, 50_000, 1, 0},
		"exactly as much as drained": {of(maxDrain), cache.Ask{}, 0, 1, 0},
		"too much":                   {of(maxDrain + 1), cache.Ask{}, 0, 2, 0},
		"a piece without its end":    {piece, cache.Ask{First: 2, Length: 3}, 3, 1, 0},
		"the last of its connection": {script("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 5", "01", 10*time.Second, "234"), cache.Ask{}, 2, 2, 0},
		"a little that takes long":   {script("HTTP/1.1 200 OK\nContent-Length: 5", "01", 10*time.Second, "234"), cache.Ask{}, 2, 2, drainTime},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, tt.answer, func(t *testing.T, s *Source, o *pipeOrigin) {
				for range 2 {
					p, err := s.Open(t.Context(), tt.ask)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.CopyN(io.Discard, p.Body, tt.read); err != nil {
						t.Fatal(err)
					}
					begin := time.Now()
					p.Body.Close()
					if took := time.Since(begin); took != tt.took {
						t.Errorf("Close took %s, want %s", took, tt.took)
					}
					if err := p.Body.Close(); err != nil {
						t.Errorf("Close again = %v", err)
					}
					if n, err := p.Body.Read(make([]byte, 1)); n != 0 || err == nil {
						t.Errorf("Read of a closed body = %d, %v", n, err)
					}
				}
				if n := o.dials.Load(); n != tt.dials {
					t.Errorf("%d connections, want %d", n, tt.dials)
				}
			})
		})
	}
}

// TestParallelRanges asks for several ranges at once, twice, over connections that are kept.
func TestParallelRanges(t *testing.T) {
	answer := script("HTTP/1.1 206 Partial Content\nContent-Range: bytes 2-4/9\nContent-Length: 3", "2", time.Second, "34")
	inBubble(t, func(c *Config) { c.MaxConnsPerHost = 8 }, answer, func(t *testing.T, s *Source, o *pipeOrigin) {
		begin := time.Now()
		for range 2 {
			results := make(chan string)
			for range 16 {
				go func() {
					p, err := s.Open(t.Context(), cache.Ask{First: 2, Length: 3})
					results <- outcome(t, p, err)
				}()
			}
			for range 16 {
				if got, want := <-results, "206, 2+3 of 9: 234, ranges"; got != want {
					t.Errorf("Open = %s, want %s", got, want)
				}
			}
		}
		if took, n := time.Since(begin), o.dials.Load(); n != 8 || took != 4*time.Second {
			t.Errorf("32 answers of 1 s over %d connections in %s, want 8 in 4 s", n, took)
		}
	})
}
