// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// A boot's own span is exported when the boot is over, perhaps by a process that began when the boot had. What is below it was
// exported before, and names it. So its ids are made of what the journal keeps: the trace's is the request id of the first
// script, the span's a hash of the boot's id. Caddy's provider draws ids; these spans have a provider beside it, by the same
// environment and of the same resource.

// newRoots returns the provider of boots' own spans, beside the one of a span of Caddy's.
func newRoots(caddys trace.Span) (*sdk.TracerProvider, error) {
	exporter, err := autoexport.NewSpanExporter(context.Background())
	if err != nil {
		return nil, err
	}
	of := resource.Default()
	if readable, ok := caddys.(sdk.ReadOnlySpan); ok {
		of = readable.Resource()
	}
	return sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(of), sdk.WithIDGenerator(rootIDs{})), nil
}

// rootIDs takes the ids of a trace's first span from the context, and draws the others.
type rootIDs struct{}

type rootIDsKey struct{}

// NewIDs returns the ids of a first span.
func (rootIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	ids, _ := ctx.Value(rootIDsKey{}).(trace.SpanContextConfig)
	for !ids.TraceID.IsValid() {
		_, _ = rand.Read(ids.TraceID[:]) // never fails
	}
	for !ids.SpanID.IsValid() {
		_, _ = rand.Read(ids.SpanID[:])
	}
	return ids.TraceID, ids.SpanID
}

// NewSpanID returns the id of a span below another.
func (rootIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		_, _ = rand.Read(id[:])
	}
	return id
}

// rootOf is the context in which the first span of a boot begins. Without a request id its trace's id is a hash, too.
func rootOf(boot, requestID string) context.Context {
	sum := sha256.Sum256([]byte("ironic-edge boot " + boot))
	ids := trace.SpanContextConfig{TraceID: traceOf(requestID), SpanID: trace.SpanID(sum[:8])}
	if !ids.TraceID.IsValid() {
		ids.TraceID = trace.TraceID(sum[16:])
	}
	return context.WithValue(context.Background(), rootIDsKey{}, ids)
}

// underRequestID is the context in which the first span of a trace begins whose id is a request id.
func underRequestID(id string) context.Context {
	return context.WithValue(context.Background(), rootIDsKey{}, trace.SpanContextConfig{TraceID: traceOf(id)})
}

// traceOf is a request id without "req-" and dashes, as the id of a trace. What is none gives one that is not valid.
func traceOf(requestID string) (id trace.TraceID) {
	digits := strings.ReplaceAll(strings.TrimPrefix(requestID, "req-"), "-", "")
	if n, err := hex.Decode(id[:], []byte(digits[:min(len(digits), 2*len(id))])); err != nil || n != len(id) {
		return trace.TraceID{}
	}
	return id
}

// see makes the provider of boots' own spans when the first request is traced. Boots that had been traced before the process
// began, and that were over before this request, are told of now.
func (t *traces) see(caddys trace.Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.roots != nil || t.closed {
		return
	}
	roots, err := t.newRoots(caddys)
	if err != nil {
		return // Caddy's own would have failed as this one does
	}
	t.roots = roots
	for i := range t.waiting {
		t.endLocked(&t.waiting[i])
	}
	t.waiting = nil
}

// close exports what there is. The spans of boots under way are ended as they are, unless the boots go on after a restart.
func (t *traces) close(line *boots.Timeline, goOn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.roots == nil {
		return
	}
	for _, id := range t.order {
		if known := t.byBoot[id]; goOn || known.root == nil || known.over {
			continue
		}
		if b, ok := line.Get(id); ok && !b.Over() {
			b.Ended = time.Now()
			t.endLocked(&b)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTraces)
	defer cancel()
	_ = t.roots.Shutdown(ctx) // who takes spans may be gone
}

const (
	// closeTraces is for how long the end of the process waits for who takes spans.
	closeTraces = 5 * time.Second
	// maxWaitingTraces bounds the boots that are over and wait for a provider.
	maxWaitingTraces = 256
)
