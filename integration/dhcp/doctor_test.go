// SPDX-License-Identifier: Apache-2.0

//go:build integration

package dhcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/integration/daemon"
	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

const edgeURL = "http://edge.rack17:8080"

// rack is a network with a bridge in a name space of its own: machines of it are in others.
type rack struct {
	name string
	dir  string
}

func (r *rack) ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func newRack(t *testing.T) *rack {
	t.Helper()
	r := &rack{fmt.Sprintf("edge%d", os.Getpid()), t.TempDir()}
	r.space(t, "switch")
	r.ip(t, "-n", r.name+"switch", "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
	r.ip(t, "-n", r.name+"switch", "link", "set", "bridge", "up")
	return r
}

func (r *rack) space(t *testing.T, name string) {
	t.Helper()
	r.ip(t, "netns", "add", r.name+name)
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", r.name+name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// plug adds a machine, which has the interface eth1, with an address if there is one.
func (r *rack) plug(t *testing.T, name, address string) {
	t.Helper()
	r.space(t, name)
	r.ip(t, "-n", r.name+"switch", "link", "add", name, "type", "veth", "peer", "name", "eth1", "netns", r.name+name)
	r.ip(t, "-n", r.name+"switch", "link", "set", name, "master", "bridge", "up")
	if address != "" {
		r.ip(t, "-n", r.name+name, "address", "add", address, "dev", "eth1")
	}
	r.ip(t, "-n", r.name+name, "link", "set", "eth1", "up")
}

// serve runs dnsmasq on a machine until the test's end.
func (r *rack) serve(t *testing.T, name, config string) {
	t.Helper()
	dir := t.TempDir()
	file, log := filepath.Join(dir, "dnsmasq.conf"), filepath.Join(dir, "log")
	config += "\nport=0\ninterface=eth1\nbind-interfaces\nno-resolv\nno-hosts\ndhcp-leasefile=" + filepath.Join(dir, "leases") + "\n"
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(exec.Command("ip", "netns", "exec", r.name+name, "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--user=root", "--conf-file="+file), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.WaitUntil(ctx, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "DHCP, IP range")
	}); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("dnsmasq: %v: %s", err, text)
	}
}

// TestDoctorAsksDHCP asks the DHCP servers of a network, from a machine without an address: those that send machines to the
// edge, to elsewhere, nowhere, two at once, and none.
func TestDoctorAsksDHCP(t *testing.T) {
	dir := t.TempDir()
	binary, err := edge.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ironic := ironictest.Start()
	defer ironic.Close()
	e, err := edge.StartWatched(t.Context(), binary, dir, ironic.URL, "public_url "+edgeURL)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	snippet := func(url string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), binary, "dhcp-snippet", "dnsmasq", "--url", url).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	const addresses = "dhcp-range=10.17.0.100,10.17.0.150,1h\n"
	r := newRack(t)
	r.plug(t, "edge", "")
	r.plug(t, "server", "10.17.0.1/24")
	r.plug(t, "other", "10.17.0.9/24")

	for _, tt := range []struct {
		name, server, other string
		ipxe, uefi          string // result: how what was seen begins
	}{
		{"the snippet", addresses + snippet(edgeURL), "", "good: 10.17.0.1 offers " + edgeURL + "/boot.ipxe", "good: 10.17.0.1 offers " + edgeURL + "/ipxe.efi"},
		{"another edge", addresses + snippet("http://edge.rack18:8080"), "", `bad: 10.17.0.1 offers "http://edge.rack18:8080/boot.ipxe", which is not at the edge`,
			`bad: 10.17.0.1 offers "http://edge.rack18:8080/ipxe.efi", which is not at the edge`},
		{"addresses only", addresses, "", "bad: 10.17.0.1 offers an address and nothing to boot", "bad: 10.17.0.1 offers an address and nothing to boot"},
		{"no vendor class", addresses + "dhcp-boot=" + edgeURL + "/boot.ipxe\n", "", "good: 10.17.0.1 offers " + edgeURL + "/boot.ipxe",
			`bad: 10.17.0.1 offers ` + edgeURL + `/boot.ipxe with the vendor class ""`},
		{"two servers", addresses + snippet(edgeURL), "dhcp-range=10.17.0.200,10.17.0.210,1h\ndhcp-boot=pxelinux.0\n",
			`bad: …10.17.0.9 offers "pxelinux.0", which is not at the edge`, `bad: …10.17.0.9 offers "pxelinux.0"`},
		{"none", "", "", "bad: no offer: ", "bad: no offer: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.server != "" {
				r.serve(t, "server", tt.server)
			}
			if tt.other != "" {
				r.serve(t, "other", tt.other)
			}
			cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", r.name+"edge", binary, "doctor", "--address", e.Admin, "--dhcp", "eth1", "--json")
			out, err := cmd.Output()
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
				t.Fatalf("%v: %s", err, out)
			}
			var checks []api.Check
			if err := json.Unmarshal(out, &checks); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			found := make(map[string]string)
			for _, c := range checks {
				found[c.Name] = c.Result + ": " + c.Seen
				if strings.HasPrefix(c.Name, "dhcp") && (c.Next != "") != (c.Result == "bad") {
					t.Errorf("a finding without a remedy, or the other way round: %+v", c)
				}
			}
			for name, want := range map[string]string{"dhcp for iPXE": tt.ipxe, "dhcp for UEFI by HTTP": tt.uefi} {
				before, after, _ := strings.Cut(want, "…")
				if got := found[name]; !strings.HasPrefix(got, before) || !strings.Contains(got, after) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}
