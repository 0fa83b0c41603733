// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins a step of a request, as a child of the span that Caddy's tracing handler began; without one it costs
// nothing. Spans hold names, states and codes, never a script, a body or a URL with a query.
func startSpan(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsValid() {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(tracerName).Start(ctx, name, trace.WithAttributes(attributes...))
}

// withContext is r.WithContext, which costs nothing without a span.
func withContext(r *http.Request, ctx context.Context) *http.Request {
	if ctx == r.Context() {
		return r
	}
	return r.WithContext(ctx)
}

const tracerName = "github.com/ironic-edge/ironic-edge"

// recordError marks a step as failed, without the error's text.
func recordError(span trace.Span) { span.SetStatus(codes.Error, "failed") }
