// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the traces of the corpus; then run integration/conformance")

const corpus = "testdata/conformance"

// TestCorpus runs the corpus through the interpreter. That real iPXE does the same is for integration/conformance.
func TestCorpus(t *testing.T) {
	t.Parallel()
	examples, err := ReadExamples(os.DirFS(corpus))
	if err != nil {
		t.Fatal(err)
	}
	if len(examples) < 40 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, e := range examples {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			if *update {
				write(t, e)
				return
			}
			for _, platform := range []string{BIOS, UEFI} {
				want, ok := e.Trace(platform)
				if !ok {
					continue
				}
				if got := runExample(t, e, platform); got != want {
					t.Errorf("%s: %s\ngot on %s\n%swant\n%s", e.Name, e.About, platform, got, want)
				}
			}
		})
	}
}

func runExample(t *testing.T, e Example, platform string) string {
	t.Helper()
	const base = "http://edge"
	trace, err := Want(e, platform, base)
	if err != nil {
		t.Fatalf("%v\n%s", err, trace)
	}
	return strings.ReplaceAll(trace.String(), base, "")
}

// write puts the traces at the end of an example's file; one for both platforms if they are the same there.
func write(t *testing.T, e Example) {
	t.Helper()
	file := filepath.Join(corpus, e.Name+".txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rest, _, _ := strings.Cut(string(text), "-- trace")
	var b strings.Builder
	b.WriteString(rest)
	traces := make(map[string]string)
	for _, platform := range []string{BIOS, UEFI} {
		if _, ok := e.Trace(platform); ok {
			traces[platform] = runExample(t, e, platform)
		}
	}
	if len(traces) == 2 && traces[BIOS] == traces[UEFI] {
		traces = map[string]string{"": traces[BIOS]}
	}
	for _, platform := range []string{"", BIOS, UEFI} {
		if trace, ok := traces[platform]; ok {
			b.WriteString("-- " + strings.TrimSpace("trace "+platform) + " --\n" + trace)
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
