// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// rawOrigin answers each request with text that net/http would not send. After an answer it hangs up.
type rawOrigin struct {
	url string

	mu   sync.Mutex
	seen []*http.Request
}

// startRaw starts an origin whose answers come from a function, lines ending in \n.
func startRaw(t *testing.T, answer func(*http.Request) string) *rawOrigin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &rawOrigin{url: "http://" + l.Addr().String()}
	var group sync.WaitGroup
	group.Go(func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { // ends with its one answer
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				o.mu.Lock()
				o.seen = append(o.seen, r)
				o.mu.Unlock()
				io.WriteString(c, wire(answer(r)))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	return o
}

// requests returns what was asked so far.
func (o *rawOrigin) requests() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
}

// wire gives the header's lines the ends that HTTP wants.
func wire(answer string) string {
	header, body, _ := strings.Cut(answer, "\n\n")
	return strings.ReplaceAll(header, "\n", "\r\n") + "\r\n\r\n" + body
}

// chunked is a body in chunks of one line each.
func chunked(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(l), l)
	}
	return b.String() + "0\r\n\r\n"
}

// newClient returns a client that may ask whom its sources are of.
func newClient(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// allowURL lets the client ask a test's server, whose port nobody knew before.
func (c *Client) allowURL(t testing.TB, rawURL string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c.allow = append(c.allow, pattern{scheme: u.Scheme, host: u.Hostname(), port: u.Port()})
}

// source is the client's source for a URL of a test's server.
func source(t testing.TB, c *Client, rawURL string, header http.Header) *Source {
	t.Helper()
	c.allowURL(t, rawURL)
	s, err := c.Source(rawURL, header)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outcome describes what became of a question in one line, and closes what is open.
func outcome(t *testing.T, p *cache.Part, err error) string {
	t.Helper()
	var changed *cache.ChangedError
	var refused *cache.OriginError
	switch {
	case errors.As(err, &changed):
		if p != nil {
			t.Error("both a part and an error")
		}
		if changed.Part == nil {
			return "changed"
		}
		return "changed: " + outcome(t, changed.Part, nil)
	case errors.As(err, &refused):
		s := fmt.Sprintf("refused %d: %s", refused.Status, refused.Reason)
		if refused.Temporary {
			s += ", temporary"
		}
		if refused.RetryAfter != 0 {
			s += ", after " + refused.RetryAfter.String()
		}
		return s
	case err != nil:
		return "error: " + err.Error()
	}
	defer p.Body.Close()
	now := time.Now()
	if p.Asked.After(p.Answered) || p.Answered.After(now) || now.Sub(p.Asked) > time.Hour {
		t.Errorf("asked at %s, answered at %s", p.Asked, p.Answered)
	}
	b, err := io.ReadAll(p.Body)
	s := fmt.Sprintf("%d, %d+%d of %d: %s", p.Status, p.First, p.Length, p.Size, b)
	if p.Ranges {
		s += ", ranges"
	}
	if err != nil {
		s += ", then " + err.Error()
	}
	return s
}
