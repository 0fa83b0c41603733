// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// bubble is a handler before the demo fleet's Ironic, without a network and on a fake clock.
type bubble struct {
	handler *Handler
	api     *ironictest.Server
	trouble atomic.Pointer[trouble]
	calls   atomic.Int64 // to Ironic
}

// trouble is what happens to a call to Ironic.
type trouble func(b *bubble, r *http.Request) (*http.Response, error)

// RoundTrip brings a call to Ironic, or into trouble.
func (b *bubble) RoundTrip(r *http.Request) (*http.Response, error) {
	b.calls.Add(1)
	if t := b.trouble.Load(); t != nil {
		return (*t)(b, r)
	}
	return b.answer(r), nil
}

func (b *bubble) answer(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return w.Result()
}

func (b *bubble) suffer(t trouble) { b.trouble.Store(&t) }
func (b *bubble) heal()            { b.trouble.Store(nil) }

// The troubles.
func refused(*bubble, *http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func blackHole(_ *bubble, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func slowBy(d time.Duration) trouble {
	return func(b *bubble, r *http.Request) (*http.Response, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return b.answer(r), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func answering(status int, body string) trouble {
	return func(_ *bubble, r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r}, nil
	}
}

func cutOff(b *bubble, r *http.Request) (*http.Response, error) {
	response := b.answer(r)
	whole, _ := io.ReadAll(response.Body)
	response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), brokenOff{}))
	return response, nil
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var bubbles atomic.Int64 // keeps their sites apart

// inBubble runs a test on a fake clock.
func inBubble(t *testing.T, options func(*Handler), test func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		url := "http://ironic" + strconv.FormatInt(bubbles.Add(1), 10) + ".test"
		h := &Handler{Ironic: Ironic{URL: url}, PublicURL: "http://edge.test:8080"}
		if options != nil {
			options(h)
		}
		if err := provision(t, h); err != nil {
			t.Fatal(err)
		}
		b := &bubble{handler: h, api: ironictest.New(ironictest.DemoFleet("http://images.test")...)}
		useClient(t, b, url)
		test(t, b)
	})
}

// useClient has a handler ask Ironic without a network.
func useClient(t *testing.T, b *bubble, url string) {
	t.Helper()
	client, err := ironic.New(t.Context(), ironic.Config{Endpoint: url, Timeout: time.Duration(b.handler.Ironic.Timeout),
		Wrap: func(http.RoundTripper) http.RoundTripper { return b }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	b.handler.client = client
	b.handler.site.client.Store(client)
}

// got is an answer, and how long it took on the fake clock.
type got struct {
	answer
	waited time.Duration
}

// ask asks as iPXE does, from an address unless that is empty.
func (b *bubble) ask(t *testing.T, target, address string) got {
	t.Helper()
	ctx := t.Context()
	if address != "" {
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: address})
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	r.Header.Set("User-Agent", "iPXE/1.21.1")
	w := httptest.NewRecorder()
	start := time.Now()
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if err := b.handler.ServeHTTP(w, r, next); err != nil {
		t.Errorf("GET %s: %v", target, err)
	}
	return got{answer{w.Code, w.Header(), w.Body.String()}, time.Since(start)}
}

func (b *bubble) script(t *testing.T, node int) got {
	t.Helper()
	return b.ask(t, "/pxelinux.cfg/"+nodeMAC(node), "")
}

// pass lets time go by, and what it sets off finish.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
