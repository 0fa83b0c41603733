// SPDX-License-Identifier: Apache-2.0

//go:build integration

package trace

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

var (
	update = flag.Bool("update", false, "write what is found into ipxe/testdata")
	only   = flag.String("case", "", "drive only the cases that match `regexp`")
	keep   = flag.String("keep", "", "copy the log of an Ironic whose nodes went wrong to `directory`")
)

const testdata = "../../ipxe/testdata"

// tuned are conductor options that change what the scripts look like.
var tuned = realironic.Options{NetbootFallback: true, Timeout: 60, KernelAppendParams: "nofb console=ttyS0,115200n8", Debug: true,
	FallbackScript: "fallback.ipxe", InspectionParams: "ipa-inspection-collectors=default,logs ipa-insecure=1"}

// TestTraces compares, for every node of the fleet and every release, the trace of the conductor's script with that of
// ours, made from the same Ironic's API.
func TestTraces(t *testing.T) {
	differences, err := ReadDifferences(filepath.Join(testdata, "differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		name    string
		release realironic.Release
		options realironic.Options
		tuned   bool
		least   int // nodes
	}{
		{"39.0", realironic.Release39, realironic.Options{}, false, 60},
		{"21.4", realironic.Release21, realironic.Options{}, false, 60},
		{"39.0-tuned", realironic.Release39, tuned, true, 10},
		{"21.4-tuned", realironic.Release21, tuned, true, 10},
	} {
		t.Run(run.name, func(t *testing.T) {
			i, err := realironic.Start(t.Context(), run.release, t.TempDir(), run.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := i.Stop(); err != nil {
					t.Error(err)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
			defer cancel()
			wanted := regexp.MustCompile(*only)
			cases := slices.DeleteFunc(realironic.CasesOf(run.release, run.tuned), func(c realironic.Case) bool { return !wanted.MatchString(c.Name) })
			nodes, err := realironic.Fleet(ctx, i, cases)
			if err != nil {
				t.Error(err)
				keepLog(t, i)
			}
			if len(nodes) < run.least && *only == "" {
				t.Errorf("%d nodes, want %d", len(nodes), run.least)
			}
			client, err := ironic.New(t.Context(), ironic.Config{Endpoint: i.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			bootstrap(t, i, run.options)
			scripts := 0
			for _, n := range nodes {
				r, err := realironic.Capture(t.Context(), i, n)
				if err != nil {
					t.Error(err)
					continue
				}
				for j, mac := range r.MACs {
					name := run.name + "/" + r.Case
					if j > 0 {
						name += fmt.Sprintf("-nic%d", j)
					}
					if compare(t, client, r, mac, name, differences) {
						scripts++
					}
				}
			}
			t.Logf("%d nodes, %d of their NICs with a script", len(nodes), scripts)
		})
	}
}

func keepLog(t *testing.T, i *realironic.Ironic) {
	t.Helper()
	if *keep == "" {
		return
	}
	log, err := os.ReadFile(i.Log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*keep, path.Base(t.Name())+".log"), log, 0o600); err != nil {
		t.Fatal(err)
	}
}

// compare compares what one NIC gets and reports whether Ironic had a script for it.
func compare(t *testing.T, client *ironic.Client, r realironic.Record, mac, name string, differences Differences) bool {
	t.Helper()
	node, err := client.NodeByMAC(t.Context(), mac)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	var secrets *ipxe.Secrets
	credentials, theirs := "", None
	if text := r.Scripts[mac]; text != nil {
		theirs = Of([]byte(Normalize(r, *text)), mac)
		if credentials = Credentials(*text); credentials != "" {
			secrets = ipxe.ReadSecrets([]byte(credentials))
		}
	}
	options := Options(r)
	ours, err := Ours(node, mac, &options, secrets)
	reason := differences.Reason(name)
	switch {
	case err != nil:
		t.Errorf("%s: %v", name, err)
	case ours != theirs && reason == "":
		t.Errorf("%s, in state %s: the machine does\n%s\nwith our script, but with Ironic's\n%s", name, r.State, ours, theirs)
	case ours == theirs && reason != "":
		t.Errorf("%s is said to differ (%s) and does not", name, reason)
	}
	if *update {
		write(t, name, node, &options, credentials, theirs)
	}
	return theirs != None
}

// loopback is where the images were, at a port that each run has anew.
var loopback = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// write keeps a case for the tests of package ipxe.
func write(t *testing.T, name string, node *ipxe.Node, options *ipxe.Options, credentials, theirs string) {
	t.Helper()
	dir := filepath.Join(testdata, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"node.json": indent(t, node), "options.json": indent(t, options), "want.trace": theirs}
	if credentials != "" {
		files["credentials"] = credentials
	}
	for name, text := range files {
		text = loopback.ReplaceAllString(text, "http://images")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func indent(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// bootstrap compares boot.ipxe, on machines whose NICs have scripts in one place or another.
func bootstrap(t *testing.T, i *realironic.Ironic, o realironic.Options) {
	t.Helper()
	theirs, err := i.Bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ipxe.Bootstrap(o.FallbackScript)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range Machines() {
		if got, want := OnMachine(ours, m), OnMachine([]byte(theirs), m); got != want {
			t.Errorf("boot.ipxe, %s: the machine does\n%s\nwith our script, but with Ironic's\n%s", name, got, want)
		}
	}
}
