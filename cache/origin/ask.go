// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is a response whose header has come.
type answer struct {
	*http.Response // but for its Body
	body           *body
	asked, came    time.Time
}

// ask sends a GET or HEAD, follows its redirects and returns the answer, whatever its status. The header goes everywhere, extra
// only where the source's own header goes.
func (s *Source) ask(ctx context.Context, method string, header, extra http.Header) (*answer, error) {
	u, at := s.url, s.address
	private := true
	for hops := 0; ; hops++ {
		h := header.Clone()
		if private {
			for _, own := range []http.Header{s.header, extra} {
				for name, values := range own {
					h[name] = values
				}
			}
		}
		h.Set("Accept-Encoding", "identity") // the bytes as they are; set, it also keeps net/http from decoding any
		h.Set("User-Agent", s.client.cfg.UserAgent)
		if s.client.cfg.Loop != "" {
			h.Set("Cdn-Loop", s.client.cfg.Loop)
		}
		a, err := s.client.roundTrip(ctx, method, u, h, at, s.named && at == s.address)
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", publicURL(u), public(err, u))
		}
		if !redirects(a.StatusCode) || a.Header.Get("Location") == "" { // one to nowhere is an answer
			return a, nil
		}
		a.body.Close()
		if hops == s.client.cfg.MaxRedirects {
			return nil, unusable("more than %d redirects", hops)
		}
		if u, at, err = s.client.location(u, at, a.Header.Get("Location")); err != nil {
			return nil, err
		}
		if s.bound != nil {
			if err := s.bound(u); err != nil {
				return nil, err
			}
		}
		// For good: the other host chose where to go next, and must not have our credentials spent there.
		private = private && at == s.address
	}
}

// roundTrip does one exchange with an address. named says that its URL is one of the configuration's.
func (c *Client) roundTrip(ctx context.Context, method string, u *url.URL, header http.Header, at address, named bool) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	request := (&http.Request{Method: method, URL: u, Host: u.Host, Header: header}).WithContext(ctx)
	asked := time.Now()
	transport, err := c.via(request, at, named)
	var response *http.Response
	if err == nil {
		response, err = transport.RoundTrip(request)
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &answer{response, c.newBody(ctx, cancel, response), asked, time.Now()}, nil
}

// withoutURL unwraps the error of something that quotes its URL, of a proxy for example.
func withoutURL(err error) error {
	var quotes *url.Error
	if errors.As(err, &quotes) {
		return quotes.Err
	}
	return err
}

// public is an error without the URL's query. What does not speak HTTP may send the question back, and net/http quotes
// what it cannot read.
func public(err error, u *url.URL) error {
	err = withoutURL(err)
	if u.RawQuery != "" && strings.Contains(err.Error(), u.RawQuery) {
		return errors.New("the answer is not HTTP")
	}
	return err
}
