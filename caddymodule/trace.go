// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// step is something that a request needs: its script, an image, a call to Ironic. It becomes a span when the request has
// been answered, since only then is it known of which boot it is, and so of which trace. A nil step is one of a request
// that is not traced; its methods do nothing. Steps hold names, states and codes, never a script, a body or a URL.
type step struct {
	answer *tracedAnswer
	parent *step
	name   string
	kind   trace.SpanKind
	begun  time.Time

	// Guarded by the answer's lock.
	attributes []attribute.KeyValue
	ended      time.Time
	failed     bool
	steps      []*step
	span       trace.SpanContext // valid once it is one
}

// tracedAnswer is a request that Caddy's tracing handler traces, as far as it is this edge's.
type tracedAnswer struct {
	caddys trace.Span
	traces *traces

	mu    sync.Mutex
	first *step
	boot  boots.Ref
}

const tracerName = "github.com/ironic-edge/ironic-edge"

// maxSteps bounds those of one step.
const maxSteps = 32

type stepKey struct{}

// traceRequest begins the step that all others of a request are below of, where Caddy's tracing handler came before this
// one. Without it, nothing is done and nothing allocated.
func (h *Handler) traceRequest(r *http.Request, route route) (*http.Request, *step) {
	caddys := trace.SpanFromContext(r.Context())
	if !caddys.SpanContext().IsValid() {
		return r, nil
	}
	answer := &tracedAnswer{caddys: caddys, traces: &h.site.boots.traces}
	answer.traces.see(caddys)
	answer.first = &step{answer: answer, name: route.span(), kind: trace.SpanKindInternal, begun: time.Now()}
	return r.WithContext(context.WithValue(r.Context(), stepKey{}, answer.first)), answer.first
}

// span is what the step of a request is called.
func (r route) span() string {
	switch r.way {
	case wayMAC, wayUUID, wayPassthru:
		return "ironic-edge script"
	case wayImage:
		return "ironic-edge image " + r.label
	case wayNext:
		return "ironic-edge image " + imageLabelMirror
	}
	return "ironic-edge " + r.way.String()
}

// stepOf is the step that is under way. Nil: nothing is traced.
func stepOf(ctx context.Context) *step {
	s, _ := ctx.Value(stepKey{}).(*step)
	return s
}

// startStep begins a step below the one that is under way.
func startStep(ctx context.Context, name string, kind trace.SpanKind) (context.Context, *step) {
	parent := stepOf(ctx)
	if parent == nil {
		return ctx, nil
	}
	parent.answer.mu.Lock()
	defer parent.answer.mu.Unlock()
	if len(parent.steps) == maxSteps {
		return ctx, nil
	}
	s := &step{answer: parent.answer, parent: parent, name: name, kind: kind, begun: time.Now()}
	parent.steps = append(parent.steps, s)
	return context.WithValue(ctx, stepKey{}, s), s
}

// withContext is r.WithContext, which costs nothing where nothing is traced.
func withContext(r *http.Request, ctx context.Context) *http.Request {
	if ctx == r.Context() {
		return r
	}
	return r.WithContext(ctx)
}

// word, number and fail say what came of a step.
func (s *step) word(name, value string) {
	if s != nil && value != "" {
		s.add(attribute.String(name, value))
	}
}

func (s *step) number(name string, value int64) {
	if s != nil {
		s.add(attribute.Int64(name, value))
	}
}

func (s *step) add(a attribute.KeyValue) {
	s.answer.mu.Lock()
	defer s.answer.mu.Unlock()
	s.attributes = append(s.attributes, a)
}

// fail marks a step as failed, without the error's text.
func (s *step) fail() {
	if s == nil {
		return
	}
	s.answer.mu.Lock()
	defer s.answer.mu.Unlock()
	s.failed = true
}

// end ends a step. One that outlives its request, as a question to Ironic does for which the client would not wait, becomes
// a span by itself.
func (s *step) end() {
	if s == nil {
		return
	}
	s.answer.mu.Lock()
	defer s.answer.mu.Unlock()
	s.ended = time.Now()
	if s.parent != nil && s.parent.span.IsValid() {
		s.exportLocked(trace.ContextWithSpanContext(context.Background(), s.parent.span))
	}
}

// of says of which boot a request is.
func (s *step) of(b boots.Ref) {
	if s == nil || b.ID == "" {
		return
	}
	s.answer.mu.Lock()
	s.answer.boot = b
	s.answer.mu.Unlock()
	s.word(attributeNode, b.Node)
}

// answered ends the first step of a request, and tells of all of them: in the trace of the boot, or where there is none
// below Caddy's span.
func (s *step) answered() {
	if s == nil {
		return
	}
	s.end()
	if !s.answer.traces.add(s.answer) {
		s.answer.export(trace.ContextWithSpan(context.Background(), s.answer.caddys))
	}
}

// export makes spans of the steps below a parent. Caddy's span and the one of the boot's trace have links to each other.
func (a *tracedAnswer) export(parent context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	links := []trace.Link{{SpanContext: a.caddys.SpanContext()}}
	if trace.SpanContextFromContext(parent).TraceID() == a.caddys.SpanContext().TraceID() {
		links = nil
	}
	a.first.exportLocked(parent, trace.WithLinks(links...))
	if links != nil {
		a.caddys.AddLink(trace.Link{SpanContext: a.first.span})
	}
}

func (s *step) exportLocked(parent context.Context, options ...trace.SpanStartOption) {
	options = append(options, trace.WithTimestamp(s.begun), trace.WithAttributes(s.attributes...), trace.WithSpanKind(s.kind))
	ctx, span := s.answer.caddys.TracerProvider().Tracer(tracerName).Start(parent, s.name, options...)
	s.span = span.SpanContext()
	for _, below := range s.steps {
		if !below.ended.IsZero() {
			below.exportLocked(ctx)
		}
	}
	if s.failed {
		span.SetStatus(codes.Error, "failed")
	}
	span.End(trace.WithTimestamp(s.ended))
}
