// SPDX-License-Identifier: Apache-2.0

//go:build integration

package dhcp

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSnippets wants each server to take its snippet, inside as much configuration as it needs around it.
func TestSnippets(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "ironic-edge")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/xcaddy-build").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		server, before, after string
		check                 []string
	}{
		{"dnsmasq", "", "", []string{"dnsmasq", "--test", "-C"}},
		{"isc", "", "subnet 10.17.0.0 netmask 255.255.255.0 {}\n", []string{"dhcpd", "-t", "-4", "-cf"}},
		{"kea", `{"Dhcp4": {"interfaces-config": {"interfaces": []}, "lease-database": {"type": "memfile", "persist": false},`, `, "subnet4": []}}`,
			[]string{"kea-dhcp4", "-t"}},
	} {
		for _, tftp := range []string{"", "10.17.0.2"} {
			snippet, err := exec.CommandContext(t.Context(), binary, "dhcp-snippet", tt.server, "--url", "http://edge.rack17:8080", "--tftp", tftp).Output()
			if err != nil {
				t.Fatalf("%s: %v", tt.server, err)
			}
			config := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(config, []byte(tt.before+string(snippet)+tt.after), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), tt.check[0], append(tt.check[1:], config)...).CombinedOutput(); err != nil {
				t.Errorf("%s with tftp %q: %v\n%s\n%s", tt.server, tftp, err, out, snippet)
			}
			broken := filepath.Join(t.TempDir(), "broken") // what it is refused for is what is checked at all
			if err := os.WriteFile(broken, []byte(tt.before+string(snippet)+tt.after+"\ndhcp-boots=1 }"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := exec.CommandContext(t.Context(), tt.check[0], append(tt.check[1:], broken)...).Run(); err == nil {
				t.Errorf("%s takes anything", tt.server)
			}
		}
	}
}
