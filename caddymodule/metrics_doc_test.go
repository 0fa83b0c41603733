// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsAreInTheManual compares the metrics that there are, and their labels, with the tables of docs/operating.md.
func TestMetricsAreInTheManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string) // the row of each name
	names := regexp.MustCompile("`(?:ironic_edge)?(_[a-z_]+)`")
	for row := range strings.Lines(string(manual)) {
		if !strings.HasPrefix(row, "| `ironic_edge_") {
			continue
		}
		first, labels, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, name := range names.FindAllStringSubmatch(first, -1) {
			documented[namespace+name[1]] = labels
		}
	}
	form := regexp.MustCompile(`fqName: "([a-z_]+)".*variableLabels: \{([^}]*)\}`)
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		for _, c := range collectors.all() {
			c.Describe(descs)
		}
	}()
	// Whose values come from here or from the configuration, and not from whom the edge speaks to. A status has three digits.
	bounded := []string{"believed", "cache", "call", "decision", "diagnosis", "edge", "ironic", "kind", "label", "object", "outcome", "reason", "resource", "result", "site",
		"stage", "state", "status", "store", "version"}
	there := make(map[string]bool)
	for d := range descs {
		found := form.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s is no description", d)
		}
		name := found[1]
		there[name] = true
		row, ok := documented[name]
		if !ok {
			t.Errorf("%s is not in the manual", name)
		}
		for label := range strings.SplitSeq(found[2], ",") {
			if label != "" && !strings.Contains(row, "`"+label+"`") {
				t.Errorf("the manual does not say that %s has the label %s: %s", name, label, row)
			}
			if label != "" && !slices.Contains(bounded, label) {
				t.Errorf("%s has the label %s, of which it is not known how many values it has", name, label)
			}
		}
	}
	if len(there) < 40 {
		t.Errorf("there are %d metrics", len(there))
	}
	for name := range documented {
		if !there[name] {
			t.Errorf("the manual has %s, and there is none", name)
		}
	}
}
