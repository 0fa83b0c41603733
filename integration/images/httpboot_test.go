// SPDX-License-Identifier: Apache-2.0

//go:build integration

package images

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
)

// tapHost is the edge's address on the network that a machine shares with it in the test's own network namespace. QEMU's
// user network would not do: its DHCP server does not send the option that HTTP Boot wants.
const (
	tapHost = "10.77.0.1"
	tapName = "tap0"
)

func inNamespace() bool { return os.Getenv("IRONIC_EDGE_NAMESPACE") != "" }

// TestHTTPBoot has UEFI firmware load iPXE through a mirror, and iPXE the agent through the edge. It runs itself again in
// a network namespace of its own.
func TestHTTPBoot(t *testing.T) {
	if !inNamespace() {
		cmd := exec.CommandContext(t.Context(), "unshare", "--net", os.Args[0], "-test.run=^TestHTTPBoot$", "-test.v")
		cmd.Env = append(os.Environ(), "IRONIC_EDGE_NAMESPACE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("in the namespace: %v\n%s", err, out)
		}
		return
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"tuntap", "add", tapName, "mode", "tap"},
		{"address", "add", tapHost + "/24", "dev", tapName},
		{"link", "set", tapName, "up"},
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	guest, err := qemu.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const ipxe = "/usr/lib/ipxe/ipxe.efi"
	origin := NewOrigin(map[string]string{"ipa.kernel": guest.Kernel, "ipa.initramfs": guest.Ramdisk, "ipxe.efi": ipxe}, nil)
	t.Cleanup(origin.Close)
	e := startEdge(t, origin, `kernel_append_params "console=ttyS0"`)
	_, port, err := net.SplitHostPort(e.Address)
	if err != nil {
		t.Fatal(err)
	}
	site := "http://" + tapHost + ":" + port
	dhcp(t, site+"/efi/ipxe.efi", site+"/boot.ipxe")
	boot(t, e, qemu.Machine{UEFI: true, MAC: "52:54:00:17:00:01", Tap: tapName}, "AGENT lookup ended with 0", "AGENT done")
	if sent, size := origin.Sent("ipxe.efi"), fileSize(t, ipxe); sent != size {
		t.Errorf("%d bytes of ipxe.efi crossed the line, it has %d", sent, size)
	}
}

// dhcp runs a DHCP server that sends UEFI's HTTP Boot to one URL and iPXE to another.
func dhcp(t *testing.T, firmware, ipxe string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "dnsmasq.conf")
	text := "port=0\nkeep-in-foreground\nlog-facility=-\nleasefile-ro\nuser=root\nbind-interfaces\ninterface=" + tapName + `
dhcp-range=10.77.0.100,10.77.0.120,255.255.255.0
dhcp-vendorclass=set:http,HTTPClient
dhcp-userclass=set:ipxe,iPXE
dhcp-option-force=tag:http,60,HTTPClient
dhcp-boot=tag:http,tag:!ipxe,` + firmware + `
dhcp-boot=tag:ipxe,` + ipxe + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "dnsmasq", "--conf-file="+config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
