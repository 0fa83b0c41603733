// SPDX-License-Identifier: Apache-2.0

package ipxe_test

import (
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// TestConsoleHasTheError wants the number of the fetch that failed on the console, not that of what was asked after it.
func TestConsoleHasTheError(t *testing.T) {
	t.Parallel()
	pair := map[string]ipxe.Images{"": {Kernel: "http://i/k", Ramdisk: "http://i/r"}}
	script, err := ipxe.Select(&ipxe.Node{UUID: "6cb6b1a1-8a2c-4e6e-a1f5-27b4a0a2b111", ProvisionState: ipxe.CleanWait, BootInterface: "ipxe"},
		ipxe.Boot{BaseURL: "http://edge", RequestID: "req-1"}, &ipxe.Options{Deploy: pair})
	if err != nil {
		t.Fatal(err)
	}
	text, err := script.AppendText(nil)
	if err != nil {
		t.Fatal(err)
	}
	forbidden := ipxetest.NetworkFunc(func(ipxetest.Request) ipxetest.Response { return ipxetest.Response{Status: 403} })
	got := ipxetest.Run(text, ipxetest.Machine{NICs: []string{"52:54:00:00:00:01"}, Network: forbidden, Base: "http://edge/boot.ipxe"}).String()
	if !strings.Contains(got, "echo Kernel or ramdisk did not arrive (0x410c613c), attempt 1 of 10") {
		t.Errorf("the console:\n%s", got)
	}
}
