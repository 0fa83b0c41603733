// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// Attributes of spans. Names are API.
const (
	attributeBoot       = "ironic_edge.boot"
	attributeNode       = "ironic_edge.node"
	attributeKind       = "ironic_edge.kind"
	attributeReason     = "ironic_edge.reason"
	attributeCache      = "ironic_edge.cache"
	attributeBytes      = "ironic_edge.bytes"
	attributeStatus     = "ironic_edge.status"
	attributeState      = "ironic_edge.provision_state"
	attributeStage      = "ironic_edge.stage"
	attributeOutcome    = "ironic_edge.outcome"
	attributeDiagnosis  = "ironic_edge.diagnosis"
	attributeRequestID  = "ironic_edge.request_id"
	attributeRequestIDs = "ironic_edge.request_ids"
)

// traces has one trace for each boot of a site. Its first span is the boot itself, from the first request for a script to
// the boot's end; below it are the requests and the stages. The trace's id is the request id of the boot's first script,
// which is in the kernel's command line and in Ironic's log.
type traces struct {
	newRoots func(trace.Span) (*sdk.TracerProvider, error)
	mark     func(boot string) // that it is traced

	mu      sync.Mutex
	roots   *sdk.TracerProvider // of the boots' own spans; nil: nothing was traced yet
	closed  bool
	byBoot  map[string]*bootTrace
	order   []string     // the oldest boot first
	waiting []boots.Boot // that are over, for the provider
}

type bootTrace struct {
	root  trace.Span // nil: no request id is known yet
	over  bool
	count int             // of requests
	early []*tracedAnswer // requests for a script that were refused, before there was a request id
}

const (
	maxTraces = 4096
	// maxTraced is how many requests of a boot are in its trace; an ISO is read by thousands. Others stay below Caddy's span.
	maxTraced = 256
	maxEarly  = 32
)

// add adds a request to the trace of its boot. False: it is in none.
func (t *traces) add(a *tracedAnswer) bool {
	a.mu.Lock()
	boot := a.boot
	a.mu.Unlock()
	if boot.ID == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.roots == nil {
		return false
	}
	b := t.ofLocked(boot.ID)
	if b.count == maxTraced {
		return false
	}
	if b.root == nil {
		if boot.RequestID == "" && a.first.name == (route{way: wayMAC}).span() {
			if len(b.early) == maxEarly {
				return false
			}
			b.early = append(b.early, a)
			return true
		}
		t.beginLocked(b, boot.ID, boot.Started, boot.RequestID)
	}
	b.count++
	a.export(trace.ContextWithSpan(context.Background(), b.root))
	return true
}

func (t *traces) ofLocked(boot string) *bootTrace {
	b := t.byBoot[boot]
	if b != nil {
		return b
	}
	if len(t.order) == maxTraces {
		if oldest := t.byBoot[t.order[0]]; oldest.root != nil && !oldest.over {
			oldest.root.End()
		}
		delete(t.byBoot, t.order[0])
		t.order = t.order[1:]
	}
	if t.byBoot == nil {
		t.byBoot = make(map[string]*bootTrace)
	}
	b = new(bootTrace)
	t.byBoot[boot] = b
	t.order = append(t.order, boot)
	return b
}

// beginLocked begins the boot's own span, and adds what waited for it.
func (t *traces) beginLocked(b *bootTrace, boot string, started time.Time, requestID string) {
	_, b.root = t.roots.Tracer(tracerName).Start(rootOf(boot, requestID), "ironic-edge boot", trace.WithTimestamp(started))
	t.mark(boot)
	for _, a := range b.early {
		b.count++
		a.export(trace.ContextWithSpan(context.Background(), b.root))
	}
	b.early = nil
}

// stuck notes in a boot's span that it goes no further.
func (t *traces) stuck(b *boots.Boot, code boots.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.byBoot[b.ID]; known != nil && known.root != nil && !known.over {
		known.root.AddEvent("stuck", trace.WithAttributes(attribute.String(attributeDiagnosis, string(code))))
	}
}

// end ends a boot's span, with its stages below it. The request ids that it had beside the first one lead to it.
func (t *traces) end(b *boots.Boot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(b)
}

func (t *traces) endLocked(b *boots.Boot) {
	if t.roots == nil {
		if b.Traced && len(t.waiting) < maxWaitingTraces { // by the process before this one
			t.waiting = append(t.waiting, *b)
		}
		return
	}
	known := t.ofLocked(b.ID)
	if known.root == nil {
		first := ""
		if len(b.RequestIDs) > 0 {
			first = b.RequestIDs[0]
		}
		t.beginLocked(known, b.ID, b.Started, first)
	}
	if known.over {
		return
	}
	known.over = true
	tracer, below := known.root.TracerProvider().Tracer(tracerName), trace.ContextWithSpan(context.Background(), known.root)
	for _, p := range b.Stages {
		_, stage := tracer.Start(below, "stage "+string(p.Stage), trace.WithTimestamp(p.Begun), trace.WithAttributes(attribute.String(attributeStage, string(p.Stage))))
		stage.End(trace.WithTimestamp(latest(p.Begun, p.Ended)))
	}
	for _, id := range b.RequestIDs {
		if traceOf(id) == known.root.SpanContext().TraceID() {
			continue
		}
		_, other := tracer.Start(underRequestID(id), "ironic-edge boot", trace.WithTimestamp(b.Started), trace.WithLinks(trace.Link{SpanContext: known.root.SpanContext()}),
			trace.WithAttributes(attribute.String(attributeBoot, b.ID), attribute.String(attributeNode, b.Node)))
		other.End(trace.WithTimestamp(b.Ended))
	}
	known.root.SetAttributes(attribute.String(attributeBoot, b.ID), attribute.String(attributeNode, b.Node), attribute.String(attributeKind, b.Kind),
		attribute.String(attributeReason, b.Reason), attribute.String(attributeState, b.State), attribute.String(attributeStage, string(b.Stage)),
		attribute.String(attributeOutcome, string(b.Outcome)), attribute.StringSlice(attributeRequestIDs, b.RequestIDs))
	if len(b.Diagnoses) > 0 {
		known.root.SetAttributes(attribute.String(attributeDiagnosis, string(b.Diagnoses[0].Code)))
	}
	if b.Outcome == boots.Failed || b.Outcome == boots.Stuck || b.Outcome == boots.Refused {
		known.root.SetStatus(codes.Error, string(b.Outcome))
	}
	known.root.End(trace.WithTimestamp(b.Ended))
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
