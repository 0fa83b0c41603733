// SPDX-License-Identifier: Apache-2.0

package ipxe_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// TestTraces wants our script for each recorded node to do what the script did that real Ironic wrote for it. A case is a
// directory testdata/<release>/<case>: node.json and options.json go in, want.trace is what Ironic's script did.
// differences.txt names those in which we differ on purpose.
func TestTraces(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/*/*/want.trace")
	if err != nil || len(cases) < 100 {
		t.Fatalf("%d cases, %v; want the fleets of two releases", len(cases), err)
	}
	differs := differences(t)
	for _, file := range cases {
		dir := filepath.Dir(file)
		name := strings.TrimPrefix(filepath.ToSlash(dir), "testdata/")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := trace(t, dir)
			if reason := differs(name); (got == string(want)) == (reason != "") {
				t.Errorf("the machine does\n%s\nand with Ironic's script\n%s\n(differs on purpose: %q)", got, want, reason)
			}
		})
	}
}

func trace(t *testing.T, dir string) string {
	t.Helper()
	var node ipxe.Node
	var options ipxe.Options
	for name, to := range map[string]any{"node.json": &node, "options.json": &options} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, to); err != nil {
			t.Fatal(err)
		}
	}
	boot := ipxe.Boot{BaseURL: "http://conductor:8088", RequestID: "req-1"}
	if b, err := os.ReadFile(filepath.Join(dir, "credentials")); err == nil {
		boot.Secrets = ipxe.ReadSecrets(b)
	}
	script, err := ipxe.Select(&node, boot, &options)
	var nothing *ipxe.NotBootable
	if errors.As(err, &nothing) {
		return "none\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := script.AppendText(nil)
	if err != nil {
		t.Fatal(err)
	}
	works := ipxetest.NetworkFunc(func(ipxetest.Request) ipxetest.Response { return ipxetest.Response{Status: 200} })
	return ipxetest.Format(ipxetest.Cases(text, ipxetest.Machine{NICs: []string{node.Port.Address}, Network: works, Base: boot.BaseURL + "/boot.ipxe"}))
}

// differences returns the reason why a case differs, from testdata/differences.txt.
func differences(t *testing.T) func(name string) string {
	t.Helper()
	f, err := os.Open("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reasons := make(map[string]string)
	for s := bufio.NewScanner(f); s.Scan(); {
		if pattern, reason, ok := strings.Cut(s.Text(), " "); ok && pattern != "#" {
			reasons[pattern] = reason
		}
	}
	return func(name string) string {
		for pattern, reason := range reasons {
			if ok, _ := path.Match(pattern, name); ok {
				return reason
			}
		}
		return ""
	}
}
