// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// trickle is an image of which a byte arrives each time that it has been waited for; it stops for good after some.
type trickle struct {
	ctx  context.Context
	wait time.Duration
	left int
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.left--; t.left < 0 {
		<-t.ctx.Done()
		return 0, context.Cause(t.ctx)
	}
	time.Sleep(t.wait)
	p[0] = 'x'
	return 1, nil
}

func (*trickle) Close() error { return nil }

// RoundTrip answers with the image.
func (t *trickle) RoundTrip(r *http.Request) (*http.Response, error) {
	t.ctx = r.Context()
	return &http.Response{StatusCode: http.StatusOK, ContentLength: 1000, Body: t, Request: r}, nil
}

// slowClient takes each write late.
type slowClient struct{ *httptest.ResponseRecorder }

func (s slowClient) Write(p []byte) (int, error) {
	time.Sleep(2 * maxStall)
	return s.ResponseRecorder.Write(p)
}

// TestStalledOrigin is about an origin that stops in the middle and keeps the connection: old iPXE waits for ever. What is
// slow but moves, at either end, goes on.
func TestStalledOrigin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		client func(*httptest.ResponseRecorder) http.ResponseWriter
		wait   time.Duration
		left   int
		want   time.Duration
	}{
		"at once":     {func(r *httptest.ResponseRecorder) http.ResponseWriter { return r }, 0, 0, maxStall},
		"slow origin": {func(r *httptest.ResponseRecorder) http.ResponseWriter { return r }, maxStall / 2, 10, 6 * maxStall},
		"slow client": {func(r *httptest.ResponseRecorder) http.ResponseWriter { return slowClient{r} }, 0, 10, 21 * maxStall},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &Handler{site: &site{boots: newTimeline()}, metrics: collectors, logger: zap.NewNop(), origin: &http.Client{Transport: &trickle{wait: tt.wait, left: tt.left}}}
				recorder := httptest.NewRecorder()
				ctx, leave := context.WithTimeout(t.Context(), 24*time.Hour)
				defer leave()
				start := time.Now()
				defer func() {
					if p := recover(); p != http.ErrAbortHandler {
						t.Errorf("a stalled image ends with %v, want the connection's end", p)
					}
					if lasted := time.Since(start); lasted != tt.want || recorder.Body.Len() != tt.left {
						t.Errorf("it lasted %s for %d bytes, want %s for %d", lasted, recorder.Body.Len(), tt.want, tt.left)
					}
				}()
				_ = h.stream(tt.client(recorder), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), "http://origin/k", "kernel", anywhere)
			})
		})
	}
}
