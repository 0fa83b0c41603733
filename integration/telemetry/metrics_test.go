// SPDX-License-Identifier: Apache-2.0

//go:build integration

package telemetry

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
)

const docs = "../../docs/"

// elsewhere are metrics that this edge has none of, and why.
var elsewhere = map[string]string{
	"ironic_edge_notification_brokers": "no broker is configured; integration/notify has one",
}

// promised are the metrics that dashboards of others may count on, and their labels.
var promised = map[string]string{
	"info":        "edge ironic version",
	"boots_total": "kind outcome", "boots_under_way": "outcome", "boot_diagnoses_total": "diagnosis",
	"boot_duration_seconds_bucket": "le outcome", "boot_stage_duration_seconds_bucket": "le stage",
	"scripts_total": "cache kind reason", "refusals_total": "reason status", "agent_lookups_total": "decision", "relayed_total": "call", "beacons_total": "believed",
	"boot_loops_total": "", "agent_lookup_replays_total": "", "node_lookups_total": "cache",
	"ironic_up": "ironic", "ironic_calls_total": "outcome resource", "ironic_call_duration_seconds_bucket": "le resource",
	"inventory_age_seconds": "ironic site", "inventory_nodes": "ironic site", "inventory_readings_total": "kind outcome", "inventory_calls_total": "resource",
	"images_total": "label outcome", "image_bytes_total": "label",
	"store_bytes": "store", "store_max_bytes": "store", "store_objects": "store", "store_filling": "store", "store_fills_total": "store", "store_resumed_total": "store",
	"store_received_bytes_total": "store", "store_sent_bytes_total": "store", "store_evictions_total": "store", "store_evicted_bytes_total": "store",
	"store_oldest_use_seconds": "store", "store_bad_objects_total": "store", "store_bad_blocks_total": "store", "store_not_stored_total": "store",
}

// TestMetrics has a rack of machines boot, and asks a real Prometheus all that the dashboard and the alerts ask. Each
// expression must be one, and each metric in it there.
func TestMetrics(t *testing.T) {
	rules, err := filepath.Abs(docs + "alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	r := startRack(t, edge.Start, "site {\n\t\t\tconductor_group rack17\n\t\t}")
	p, err := startPrometheus(t.Context(), t.TempDir(), r.edge.Admin, rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.process.Kill(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// What grows before it is first looked at has not grown.
	if err := edge.Poll(ctx, func() bool {
		n, err := p.samples(ctx, "ironic_edge_store_sent_bytes_total")
		return err == nil && n == 1
	}); err != nil {
		t.Fatalf("nothing is scraped: %v\n%s\n%s", err, p.output(), r.edge.Log())
	}
	for n := range r.api.Nodes() {
		m := r.machine(n + 1)
		end, err := m.switchOn()
		if err != nil {
			t.Fatal(err)
		}
		if n < 4 { // in whose states an agent is wanted
			if err := m.runAgent(); err != nil {
				t.Fatalf("node %d, which ended with %v: %v", n+1, end, err)
			}
		}
		r.api.SetProvisionState(m.uuid, "active")
		if _, err := m.switchOn(); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, err := r.machine(1).call(http.MethodGet, "/v1/nodes", nil); err != nil || status != http.StatusForbidden {
		t.Fatalf("/v1/nodes: status %d, %v", status, err)
	}

	dashboard := expressions(t)
	alerts, err := p.rules(ctx)
	if err != nil || len(alerts) < 10 {
		t.Fatalf("%d alerts, %v", len(alerts), err)
	}
	var all []string
	for _, a := range alerts {
		all = append(all, a.Query)
		if a.Annotations["summary"] == "" || a.Annotations["runbook"] == "" || a.Labels["severity"] == "" {
			t.Errorf("alert %s lacks its severity, its summary or its runbook", a.Name)
		}
	}
	all = append(all, dashboard...)
	wanted := metricsIn(strings.Join(all, "\n"))
	var missing []string
	if err := edge.Poll(ctx, func() bool {
		names, err := p.names(ctx)
		missing = slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return elsewhere[name] != "" || slices.Contains(names, name) })
		return err == nil && len(missing) == 0
	}); err != nil {
		t.Fatalf("these metrics are asked for and not there: %v\n%s\n%s", missing, p.output(), r.edge.Log())
	}
	for _, expression := range all {
		if _, err := p.samples(ctx, expression); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
	for _, expression := range dashboard { // since something has happened of each kind, each panel shows something
		if slices.ContainsFunc(metricsIn(expression), func(name string) bool { return elsewhere[name] != "" }) {
			continue
		}
		if err := edge.Poll(ctx, func() bool { n, err := p.samples(ctx, expression); return err == nil && n > 0 }); err != nil {
			t.Fatalf("nothing is shown by %s", expression)
		}
	}
	documented(t, ctx, p)
	for name, want := range promised {
		if got, err := p.labels(ctx, "ironic_edge_"+name); err != nil || got != want {
			t.Errorf("%s has the labels %q, %v; want %q", name, got, err, want)
		}
	}
	if n, err := p.samples(ctx, `ironic_edge_info{edge="http://`+r.edge.Address+`"}`); err != nil || n != 1 {
		t.Errorf("%d edges are called by their address, %v", n, err)
	}

	r.api.Stop()
	if err := edge.Poll(ctx, func() bool {
		for n := range 6 {
			_, _ = r.machine(n + 1).switchOn()
		}
		n, err := p.samples(ctx, `ALERTS{alertname="IronicDown", instance="`+r.edge.Admin+`"}`)
		return err == nil && n == 1
	}); err != nil {
		t.Errorf("Ironic is down, and no alert says so: %v", err)
	}
	if alerts, err = p.rules(ctx); err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts {
		if a.Health != "ok" {
			t.Errorf("alert %s: %s, %s", a.Name, a.Health, a.LastError)
		}
	}
}

var metricForm = regexp.MustCompile(`ironic_edge_[a-z_]+`)

func metricsIn(text string) []string {
	names := metricForm.FindAllString(text, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// expressions are those of the dashboard, as Grafana fills them in.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var board struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(docs + "grafana.json")
	if err == nil {
		err = json.Unmarshal(text, &board)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(target.Expr))
		}
	}
	if len(all) < 20 {
		t.Fatalf("the dashboard has %d expressions", len(all))
	}
	return all
}

// documented asserts that each metric of the edge is in its manual.
func documented(t *testing.T, ctx context.Context, p *prometheus) {
	t.Helper()
	manual, err := os.ReadFile(docs + "operating.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := p.names(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		short, ours := strings.CutPrefix(name, "ironic_edge")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			short = strings.TrimSuffix(short, suffix)
		}
		if ours && !strings.Contains(string(manual), short+"`") {
			t.Errorf("%s is not in operating.md", name)
		}
	}
}

// TestAlerts has promtool run each alert over an hour of what it is about, and over one that is as it should be.
func TestAlerts(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", docs+"alerts.yml").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	type hour struct{ series, bad, good string }
	cases := map[string][]hour{
		"EdgeDown":           {{`up{job="ironic-edge"}`, "0x60", "1x60"}},
		"IronicDown":         {{`ironic_edge_ironic_up`, "0x60", "1x60"}},
		"IronicSlow":         {{`ironic_edge_ironic_call_duration_seconds_bucket{le="1"}`, "0+1x60", "0+10x60"}, {`ironic_edge_ironic_call_duration_seconds_bucket{le="5"}`, "0+10x60", "0+10x60"}, {`ironic_edge_ironic_call_duration_seconds_bucket{le="+Inf"}`, "0+10x60", "0+10x60"}},
		"IronicRefuses":      {{`ironic_edge_ironic_calls_total{outcome="403"}`, "0+1x60", "7x60"}},
		"InventoryOld":       {{`ironic_edge_inventory_age_seconds`, "4000x60", "60x60"}, {`ironic_edge_inventory_age_seconds{site="b"}`, "60x60", "60x60"}},
		"NotificationsLost":  {{`ironic_edge_notification_brokers{state="connected"}`, "0x60", "1x60"}, {`ironic_edge_notification_brokers{state="wanted"}`, "1x60", "1x60"}},
		"BootsStuck":         {{`ironic_edge_boots_under_way{outcome="stuck"}`, "2x60", "0x60"}, {`ironic_edge_boots_under_way{outcome="running"}`, "2x60", "2x60"}},
		"BootsFail":          {{`ironic_edge_boots_total{outcome="failed"}`, "0+1x60", "0x60"}, {`ironic_edge_boots_total{outcome="finished"}`, "0+1x60", "0+1x60"}},
		"BootLoop":           {{`ironic_edge_boot_loops_total`, "0x50 1x10", "1x60"}},
		"DiskLoop":           {{`ironic_edge_boot_diagnoses_total{diagnosis="disk_loop"}`, "0x50 1x10", "1x60"}, {`ironic_edge_boot_diagnoses_total{diagnosis="no_lookup"}`, "0x60", "0+1x60"}},
		"NodesSilent":        {{`ironic_edge_boot_diagnoses_total{diagnosis="never_asked"}`, "0x50 1x10", "1x60"}, {`ironic_edge_boot_diagnoses_total{diagnosis="no_lookup"}`, "0x60", "0+1x60"}},
		"LookupGuardRefuses": {{`ironic_edge_agent_lookups_total{decision="refused"}`, "0+1x60", "9x60"}, {`ironic_edge_agent_lookups_total{decision="allowed"}`, "0+1x60", "0+1x60"}},
		"StoreQuarantine":    {{`ironic_edge_store_bad_objects_total`, "0x30 1x30", "1x60"}},
		"StoreBadBlocks":     {{`ironic_edge_store_bad_blocks_total`, "0x30 1x30", "1x60"}},
		"DiskFull":           {{`ironic_edge_store_not_stored_total`, "0x55 1x5", "3x60"}},
		"StoreTooSmall":      {{`ironic_edge_store_oldest_use_seconds`, "600x60", "9000x60"}, {`ironic_edge_store_evictions_total`, "0+1x60", "0+1x60"}},
		"ImagesFail":         {{`ironic_edge_images_total{outcome="short"}`, "0+1x60", "8x60"}, {`ironic_edge_images_total{outcome="ok"}`, "0+1x60", "0+1x60"}},
	}
	rules, err := filepath.Abs(docs + "alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(text), -1) {
		if cases[found[1]] == nil {
			t.Errorf("alert %s is not tested", found[1])
		}
	}
	for name, series := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "test.yml")
			var y strings.Builder
			y.WriteString("rule_files: ['" + rules + "']\nevaluation_interval: 1m\ntests:\n")
			for _, bad := range []bool{true, false} {
				y.WriteString("  - interval: 1m\n    input_series:\n")
				for _, s := range series {
					values := s.good
					if bad {
						values = s.bad
					}
					y.WriteString("      - series: '" + s.series + "'\n        values: '" + values + "'\n")
				}
				y.WriteString("    promql_expr_test:\n      - expr: count(ALERTS{alertname=\"" + name + "\", alertstate=\"firing\"})\n        eval_time: 59m\n        exp_samples:")
				if bad {
					y.WriteString("\n          - value: 1\n            labels: '{}'\n")
				} else {
					y.WriteString(" []\n")
				}
			}
			if err := os.WriteFile(file, []byte(y.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", file).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
