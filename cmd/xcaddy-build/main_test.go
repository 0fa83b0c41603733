// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asCommand, when it is set, makes the test binary the command.
const asCommand = "IRONIC_EDGE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// run runs the command and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCommands are Caddy's own commands on a binary with our module and on the example that comes with it.
func TestCommands(t *testing.T) {
	const example = "../../Caddyfile.example"
	for _, tt := range []struct {
		args, want string
	}{
		{"list-modules", "http.handlers.ironic_edge\n"},
		{"adapt --config " + example, `"handler":"ironic_edge"`},
		{"validate --config " + example, "Valid configuration"},
		{"fmt --diff " + example, ""},
		{"ironic-edge --help", "Run an edge before a stand-in Ironic"},
		{"ironic-edge demo --help", "--listen host:port"},
		{"demo --help", "ironic-edge demo [flags]"},
		{"boots --help", "ironic-edge boots --until-over"},
	} {
		out, err := run(t, strings.Fields(tt.args)...)
		if err != nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, want %q in\n%s", tt.args, err, tt.want, out)
		}
		if strings.Contains(out, "\n+ ") || strings.Contains(out, "not formatted") {
			t.Errorf("%s: the example is not formatted:\n%s", tt.args, out)
		}
	}
}

func TestBadConfigurationNamesTheOption(t *testing.T) {
	file := t.TempDir() + "/Caddyfile"
	if err := os.WriteFile(file, []byte("http://:0 {\n\tironic_edge {\n\t\tironic http://127.0.0.1:1\n\t\tnode_ttl soon\n\t}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "validate", "--config", file)
	if err == nil || !strings.Contains(out, "node_ttl") || !strings.Contains(out, "soon") {
		t.Errorf("%v:\n%s", err, out)
	}
}
