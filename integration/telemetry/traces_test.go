// SPDX-License-Identifier: Apache-2.0

//go:build integration

package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/ironic-edge/ironic-edge/integration/edge"
)

// TestTraces has a machine deployed and asserts the trace of its boot.
func TestTraces(t *testing.T) {
	to := startEndpoint()
	t.Cleanup(to.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	r := startRack(t, edge.StartTraced)
	m := r.machine(2)
	if _, err := m.switchOn(); err != nil {
		t.Fatal(err)
	}
	first := m.requestID
	if first == "" {
		t.Fatal("the kernel has no request id")
	}
	if err := m.runAgent(); err != nil {
		t.Fatal(err)
	}
	r.api.SetProvisionState(m.uuid, "active")
	if _, err := m.switchOn(); err != nil { // which shows the edge that the node is deployed
		t.Fatal(err)
	}

	whole(t, r, to, m, first, "")
}

// TestTracesOutliveTheEdge kills the edge in the middle of a boot: the trace is as if it had not been.
func TestTracesOutliveTheEdge(t *testing.T) {
	to := startEndpoint()
	t.Cleanup(to.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	journal := filepath.Join(t.TempDir(), "boots")
	r := startRack(t, edge.StartTraced, "boots {\n\t\t\tfile "+journal+"\n\t\t}")
	m := r.machine(2)
	if _, err := m.switchOn(); err != nil {
		t.Fatal(err)
	}
	first := m.requestID
	trace := traceOf(first)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before := func() (n int) {
		for _, s := range to.all() {
			if len(s.Links) > 0 && (id(s.TraceId) == trace || id(s.Links[0].TraceId) == trace) {
				n++
			}
		}
		return n
	}
	if err := edge.Poll(ctx, func() bool {
		text, _ := os.ReadFile(journal)
		return before() == 6 && strings.Contains(string(text), `"stage":"start"`) && strings.Contains(string(text), `"traced":true`)
	}); err != nil {
		t.Fatalf("the spans of three requests, and Caddy's, are not there, or the boot is not in its file: %d: %v\n%s", before(), err, r.edge.Log())
	}
	r.edge.Kill()
	if n := len(boots(to.all())); n != 0 {
		t.Fatalf("%d boots have ended already", n)
	}
	if err := r.edge.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, r.edge.Log())
	}
	if err := m.runAgent(); err != nil {
		t.Fatal(err)
	}
	r.api.SetProvisionState(m.uuid, "active")
	if _, err := m.switchOn(); err != nil {
		t.Fatal(err)
	}
	// What was known of the node went with the process.
	whole(t, r, to, m, first, "    ironic-edge resolve node\n      ironic nodes\n      ironic ports\n")
}

// traceOf is the id of the trace of a request id.
func traceOf(request string) string {
	return strings.ReplaceAll(strings.TrimPrefix(request, "req-"), "-", "")
}

// whole asserts the trace of a machine's deployment, of which the first script had a request id, and that the boot into the
// disk is over, too. The lookup asked for what is below it.
func whole(t *testing.T, r *rack, to *endpoint, m *machine, first, lookup string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	trace := traceOf(first)
	if err := edge.Poll(ctx, func() bool { return len(boots(to.all())) == 2 }); err != nil {
		t.Fatalf("%d boots have come: %v\n%s", len(boots(to.all())), err, r.edge.Log())
	}
	all := to.all()
	got := tree(all, trace)
	want := `ironic-edge boot
  ironic-edge heartbeat
    ironic-edge relay
  ironic-edge image deploy_kernel
    ironic-edge resolve node
      ironic nodes
    ironic-edge transfer
  ironic-edge image deploy_ramdisk
    ironic-edge transfer
  ironic-edge lookup
    ironic-edge relay
` + lookup + `  ironic-edge script
    ironic-edge resolve node
      ironic nodes
      ironic ports
  stage agent
  stage kernel
  stage lookup
  stage ramdisk
  stage script
  stage start
`
	if got != want {
		t.Errorf("the boot's trace is\n%swant\n%s", got, want)
	}
	boot := boots(all)[0]
	for name, value := range map[string]string{"ironic_edge.node": m.uuid, "ironic_edge.kind": "deploy", "ironic_edge.outcome": "finished", "ironic_edge.stage": "done"} {
		if attribute(boot, name) != value {
			t.Errorf("the boot's %s is %q, want %q", name, attribute(boot, name), value)
		}
	}
	linked(t, all, trace)
	secrets(t, all, m.token)
}

// boots are the spans of boots, the first one first.
func boots(all []*otlp.Span) []*otlp.Span {
	found := slices.DeleteFunc(slices.Clone(all), func(s *otlp.Span) bool { return s.Name != "ironic-edge boot" })
	slices.SortFunc(found, func(a, b *otlp.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	return found
}

// tree is the spans of a trace, each below its parent. One whose parent is missing is not in it.
func tree(all []*otlp.Span, trace string) string {
	var text strings.Builder
	var show func(parent, indent string)
	show = func(parent, indent string) {
		below := slices.DeleteFunc(slices.Clone(all), func(s *otlp.Span) bool { return id(s.TraceId) != trace || id(s.ParentSpanId) != parent })
		slices.SortFunc(below, func(a, b *otlp.Span) int { return strings.Compare(a.Name, b.Name) })
		last := ""
		for _, s := range below {
			if s.EndTimeUnixNano < s.StartTimeUnixNano {
				text.WriteString("ends before it begins: ")
			}
			if s.Name != last && s.Name != "ironic version" { // Ironic may be called more than once, and for its version once in all
				text.WriteString(indent + s.Name + "\n")
			}
			if strings.HasPrefix(s.Name, "ironic ") {
				last = s.Name
			}
			show(id(s.SpanId), indent+"  ")
		}
	}
	show("", "")
	return text.String()
}

// linked asserts that each request of a boot and Caddy's span of it lead to each other.
func linked(t *testing.T, all []*otlp.Span, trace string) {
	bySpan := make(map[string]*otlp.Span)
	for _, s := range all {
		bySpan[id(s.SpanId)] = s
	}
	n := 0
	for _, s := range all {
		if id(s.TraceId) != trace || len(s.Links) == 0 {
			continue
		}
		n++
		caddys := bySpan[id(s.Links[0].SpanId)]
		if caddys == nil || id(caddys.TraceId) == trace || caddys.Name != "handler" ||
			!slices.ContainsFunc(caddys.Links, func(l *otlp.Span_Link) bool { return id(l.SpanId) == id(s.SpanId) && id(l.TraceId) == trace }) {
			t.Errorf("%s and Caddy's span have no links to each other: %v, %v", s.Name, s, caddys)
		}
	}
	if n != 5 {
		t.Errorf("%d requests of the boot have links, want 5", n)
	}
}

// secrets asserts that no span, Caddy's included, holds what a script or the agent's calls hold.
func secrets(t *testing.T, all []*otlp.Span, token string) {
	for _, s := range all {
		text := prototext.Format(s)
		for _, secret := range []string{token, "#!ipxe", "ipa-api-url", "ipa-global-request-id", "addresses=", "callback"} {
			if strings.Contains(text, secret) {
				t.Errorf("a span holds %q: %s", secret, text)
			}
		}
	}
}
