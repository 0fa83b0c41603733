// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// tracedSite has a timeline and its traces, and requests that Caddy traces.
type tracedSite struct {
	handler  *Handler
	exported *tracetest.InMemoryExporter
	tracer   trace.Tracer
}

func newTracedSite(options ...sdk.TracerProviderOption) *tracedSite {
	exported := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(append(options, sdk.WithSyncer(exported))...)
	s := &tracedSite{&Handler{site: &site{boots: newTimeline()}}, exported, provider.Tracer("caddy")}
	s.handler.site.boots.traces.newRoots = func(trace.Span) (*sdk.TracerProvider, error) {
		return sdk.NewTracerProvider(append(options, sdk.WithSyncer(exported), sdk.WithIDGenerator(rootIDs{}))...), nil
	}
	return s
}

// script is a request for a script, as the handler records it. Without a kind it is refused.
func (s *tracedSite) script(kind, id string) {
	ctx, caddys := s.tracer.Start(context.Background(), "caddy")
	defer caddys.End()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/pxelinux.cfg/x", nil)
	r, first := s.handler.traceRequest(r, route{way: wayMAC})
	defer first.answered()
	first.of(s.handler.site.boots.Script(&boots.Script{MAC: nodeMAC(2), Node: nodeUUID(2), State: "wait call-back", Kind: kind,
		Reason: reasonUnavailable, RequestID: id}))
	stepOf(r.Context()).word(attributeKind, kind)
}

func (s *tracedSite) end() {
	b, _ := s.handler.site.boots.Get(nodeUUID(2))
	b.Ended, b.Outcome = b.Seen, boots.Finished
	s.handler.site.boots.traces.end(&b)
}

// of are the names of the spans in the trace of a request id, with their parents'.
func (s *tracedSite) of(id string) []string {
	names := make(map[trace.SpanID]string)
	for _, span := range s.exported.GetSpans() {
		names[span.SpanContext.SpanID()] = span.Name
	}
	var found []string
	for _, span := range s.exported.GetSpans() {
		if span.SpanContext.TraceID().String() == strings.ReplaceAll(strings.TrimPrefix(id, "req-"), "-", "") {
			found = append(found, names[span.Parent.SpanID()]+" > "+span.Name)
		}
	}
	slices.Sort(found)
	return found
}

// TestTraceOfABoot has a machine be refused a script, and then be given two: all are in the trace of the first one given,
// and the other one's id leads there.
func TestTraceOfABoot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTracedSite()
		first, second := newRequestID(), newRequestID()
		s.script("", "")
		time.Sleep(time.Second)
		s.script("deploy", first)
		time.Sleep(time.Second)
		s.script("deploy", second)
		s.end()
		const script = "ironic-edge boot > ironic-edge script"
		if got, want := s.of(first), []string{" > ironic-edge boot", "ironic-edge boot > ironic-edge script", script, script,
			"ironic-edge boot > stage kernel", "ironic-edge boot > stage script"}; !slices.Equal(got, want) {
			t.Errorf("the boot's trace is %q, want %q", got, want)
		}
		if got, want := s.of(second), []string{" > ironic-edge boot"}; !slices.Equal(got, want) {
			t.Errorf("the second script's trace is %q, want %q", got, want)
		}
		for _, span := range s.exported.GetSpans() {
			if span.SpanContext.TraceID().String() == strings.ReplaceAll(second[4:], "-", "") &&
				(len(span.Links) != 1 || span.Links[0].SpanContext.TraceID().String() != strings.ReplaceAll(first[4:], "-", "")) {
				t.Errorf("the second script's id leads to %v", span.Links)
			}
			if span.EndTime.Before(span.StartTime) {
				t.Errorf("%s ends before it begins", span.Name)
			}
		}
	})
}

// TestTraceBegunByItsEnd: a boot into the disk is over before its request is answered, and told of by another goroutine.
func TestTraceBegunByItsEnd(t *testing.T) {
	t.Parallel()
	s := newTracedSite()
	id := newRequestID()
	ctx, caddys := s.tracer.Start(context.Background(), "caddy")
	_, first := s.handler.traceRequest(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), route{way: wayMAC})
	first.of(s.handler.site.boots.Script(&boots.Script{MAC: nodeMAC(2), Node: nodeUUID(2), Kind: "boot_whole_disk", RequestID: id}))
	s.end()
	first.answered()
	caddys.End()
	if got, want := s.of(id), []string{" > ironic-edge boot", "ironic-edge boot > ironic-edge script", "ironic-edge boot > stage script"}; !slices.Equal(got, want) {
		t.Errorf("the boot's trace is %q, want %q", got, want)
	}
}

// TestStepOutlivesItsRequest: a question to Ironic for which the client would not wait is in the trace all the same, with
// what is below it.
func TestStepOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	s := newTracedSite()
	ctx, caddys := s.tracer.Start(context.Background(), "caddy")
	r, first := s.handler.traceRequest(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), route{way: wayMAC})
	ctx, outer := startStep(r.Context(), "outer", trace.SpanKindInternal)
	_, inner := startStep(ctx, "inner", trace.SpanKindClient)
	first.answered()
	caddys.End()
	inner.end()
	outer.end()
	got := s.of(caddys.SpanContext().TraceID().String())
	if want := []string{" > caddy", "caddy > ironic-edge script", "ironic-edge script > outer", "outer > inner"}; !slices.Equal(got, want) {
		t.Errorf("the trace is %q, want %q", got, want)
	}
}

// TestShareOfBoots: a sampler that takes a quarter of all traces takes a quarter of the boots, not none of them for the
// form of their ids. A thousand of four thousand, with a deviation of 27.
func TestShareOfBoots(t *testing.T) {
	t.Parallel()
	sampler, n := sdk.TraceIDRatioBased(0.25), 0
	for range 4000 {
		if sampler.ShouldSample(sdk.SamplingParameters{TraceID: traceOf(newRequestID())}).Decision == sdk.RecordAndSample {
			n++
		}
	}
	if n < 750 || n > 1250 {
		t.Errorf("%d of 4000 boots are sampled, want about 1000", n)
	}
}

// TestTracesAreBounded: a machine that reads an ISO range by range fills no trace.
func TestTracesAreBounded(t *testing.T) {
	t.Parallel()
	s := newTracedSite()
	id := newRequestID()
	for range maxTraced + 10 {
		s.script("deploy", id)
	}
	if n := len(s.of(id)); n != maxTraced {
		t.Errorf("%d requests are in the boot's trace, want %d", n, maxTraced)
	}
}

// TestNoTracing: where Caddy traces nothing, nothing is allocated.
func TestNoTracing(t *testing.T) {
	s := newTracedSite()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if n := testing.AllocsPerRun(100, func() {
		r, first := s.handler.traceRequest(r, route{way: wayMAC})
		ctx, below := startStep(r.Context(), "below", trace.SpanKindInternal)
		below.number(attributeStatus, 200)
		below.fail()
		below.end()
		first.answered()
		if withContext(r, ctx) != r {
			t.Error("the request is copied")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// restart has the journal's boots go on in another process, to which the same spans are exported.
func (s *tracedSite) restart(t *testing.T, journal string) *tracedSite {
	t.Helper()
	before := s.handler.site.boots
	before.options.File = journal
	before.close()
	// As the timeline's goroutine writes it.
	open := func(line *timeline) {
		j, err := boots.OpenJournal(journal, line.Timeline)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open(before)
	next := newTimeline()
	next.traces.newRoots = before.traces.newRoots
	open(next)
	return &tracedSite{&Handler{site: &site{boots: next}}, s.exported, s.tracer}
}

// keptExporter keeps what it got when its provider ends.
type keptExporter struct{ *tracetest.InMemoryExporter }

func (keptExporter) Shutdown(context.Context) error { return nil }

// TestTraceOutlivesTheProcess: the requests before a restart and those after it are below one span of the boot.
func TestTraceOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ids   int  // scripts before the restart
		after bool // whether a request comes between the restart and the end
	}{"a request comes before the end": {1, true}, "none comes before the end": {1, false}, "after many scripts": {9, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTracedSite()
				s.handler.site.boots.traces.newRoots = func(trace.Span) (*sdk.TracerProvider, error) {
					return sdk.NewTracerProvider(sdk.WithSyncer(keptExporter{s.exported}), sdk.WithIDGenerator(rootIDs{})), nil
				}
				first := newRequestID()
				s.script("deploy", first)
				for range c.ids - 1 {
					s.script("deploy", newRequestID())
				}
				time.Sleep(time.Minute)
				if got := s.of(first); slices.Contains(got, " > ironic-edge boot") {
					t.Fatalf("the boot's span is exported before its end: %q", got)
				}
				s = s.restart(t, filepath.Join(t.TempDir(), "boots"))
				want := []string{" > ironic-edge boot", "ironic-edge boot > stage kernel", "ironic-edge boot > stage script"}
				for range c.ids {
					want = append(want, "ironic-edge boot > ironic-edge script")
				}
				if c.after {
					s.script("deploy", newRequestID())
					want = append(want, "ironic-edge boot > ironic-edge script")
				}
				s.end()
				if c.after {
					s.end()
				} else {
					// A request of another boot, by which it is known who takes spans.
					s.handler.site.boots.traces.see(nil)
				}
				slices.Sort(want)
				if got := s.of(first); !slices.Equal(got, want) {
					t.Errorf("the boot's trace is\n%q, want\n%q", got, want)
				}
			})
		})
	}
}

// TestTraceEndsWithTheProcess: without a file for boots nobody goes on with them, so that their spans end with the process.
func TestTraceEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	s := newTracedSite()
	s.handler.site.boots.traces.newRoots = func(trace.Span) (*sdk.TracerProvider, error) {
		return sdk.NewTracerProvider(sdk.WithSyncer(keptExporter{s.exported}), sdk.WithIDGenerator(rootIDs{})), nil
	}
	id := newRequestID()
	s.script("deploy", id)
	s.handler.site.boots.close()
	if got, want := s.of(id), []string{" > ironic-edge boot", "ironic-edge boot > ironic-edge script", "ironic-edge boot > stage kernel", "ironic-edge boot > stage script"}; !slices.Equal(got, want) {
		t.Errorf("the boot's trace is %q, want %q", got, want)
	}
	for _, span := range s.exported.GetSpans() {
		if span.Name == "ironic-edge boot" && !slices.ContainsFunc(span.Attributes, func(a attribute.KeyValue) bool { return a.Key == attributeOutcome && a.Value.AsString() == "running" }) {
			t.Errorf("the boot's span has %v", span.Attributes)
		}
	}
}
