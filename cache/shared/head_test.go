// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/disk"
)

// stuck is an upstream that does not answer, or that begins to and says how long it will be, or not.
type stuck struct {
	answers bool
	size    int64
}

func (s stuck) Fetch(ctx context.Context, _ http.Header, _ cache.Ask) (*cache.Part, error) {
	if !s.answers {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(ctx)
	return &cache.Part{Body: &stuckBody{ctx, cancel}, Length: s.size, Size: s.size, Status: http.StatusOK,
		Header: http.Header{"Cache-Control": {"max-age=60"}}, Validator: cache.Validator{ETag: `"1"`}, Asked: time.Now(), Answered: time.Now()}, nil
}

func (s stuck) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	return s.Fetch(ctx, nil, ask)
}

type stuckBody struct {
	ctx   context.Context
	close func()
}

func (b *stuckBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b *stuckBody) Close() error {
	b.close()
	return nil
}

// TestHeadOfWhatIsCold has UEFI firmware ask how long an image is, of which nothing has come yet. It waits for five seconds.
func TestHeadOfWhatIsCold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		origin stuck
		length string // empty: 503
	}{
		"no answer":   {stuck{}, ""},
		"no length":   {stuck{answers: true, size: -1}, ""},
		"with length": {stuck{answers: true, size: 12345}, "12345"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, err := disk.Open(t.TempDir(), disk.Options{MaxSize: 1 << 28, Block: testBlock, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				c := New(store)
				defer c.Close()
				target := &Target{Key: "key", URL: &url.URL{Scheme: "http", Host: "origin", Path: "/k"}, Upstream: tt.origin}
				w := httptest.NewRecorder()
				began := time.Now()
				err = c.Serve(w, httptest.NewRequest(http.MethodHead, "/k", nil), target)
				var failure *Failure
				switch {
				case tt.length == "" && (!errors.As(err, &failure) || failure.Status != http.StatusServiceUnavailable):
					t.Errorf("%v, want a failure with 503", err)
				case tt.length != "" && (err != nil || w.Header().Get("Content-Length") != tt.length):
					t.Errorf("%v, Content-Length %q", err, w.Header().Get("Content-Length"))
				}
				if took := time.Since(began); took >= 5*time.Second || tt.length != "" && took > 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestLengthOfWhatIsEncoded has an origin that sets Content-Encoding whatever is accepted. How long the content is, is said
// all the same.
func TestLengthOfWhatIsEncoded(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "x-gzip")
	if err := serveContent(w, httptest.NewRequest(http.MethodHead, "/k", nil), false, 5, bytes.NewReader([]byte("12345"))); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Length"); got != "5" {
		t.Errorf("Content-Length %q, want 5", got)
	}
}
