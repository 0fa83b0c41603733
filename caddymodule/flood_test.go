// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestFloodOfMACs has a hostile client ask for one address after the other, from ever other addresses of its own, while
// Ironic is down. Neither memory nor the log nor the number of goroutines may grow with it. (That answers are kept in bounds
// is tested in cache/lookup.)
func TestFloodOfMACs(t *testing.T) {
	api := ironictest.Start()
	defer api.Close()
	e := newEdgeBefore(t, api, nil)
	var lines atomic.Int64
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zapcore.WarnLevel)
	e.handler.quiet = quiet(zap.New(zapcore.RegisterHooks(core, func(zapcore.Entry) error { lines.Add(1); return nil })))
	api.Close()
	for n := range maxFailures {
		if got := e.get(t, "/pxelinux.cfg/"+nodeMAC(100+n)); got.status != 503 {
			t.Fatalf("%d", got.status)
		}
	}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	asked := 0
	ask := func(n int) {
		var group sync.WaitGroup
		for range 8 {
			from := asked
			asked += n / 8
			group.Go(func() {
				w := httptest.NewRecorder()
				for i := from; i < from+n/8; i++ {
					address := fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
					ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: address})
					r := httptest.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("/pxelinux.cfg/02-00-00-%02x-%02x-%02x", i>>16&255, i>>8&255, i&255), nil)
					w.Body.Reset()
					clear(w.Header())
					if err := e.handler.ServeHTTP(w, r, next); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
	}
	heap := func() int64 {
		for range 3 { // pools empty in two
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	ask(5_000)
	before, goroutines := heap(), runtime.NumGoroutine()
	const flood = 30_000
	ask(flood)
	if grown := heap() - before; grown > 3<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 50 { // other tests run beside this one
		t.Errorf("%d goroutines more", more)
	}
	if n := lines.Load(); n < 1 || n > flood/20 {
		t.Errorf("%d log lines", n)
	}
	runtime.KeepAlive(e)
}
