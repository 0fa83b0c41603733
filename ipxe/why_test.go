// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"slices"
	"strings"
	"testing"
)

// TestWhy wants the facts that decide, and the end that Select has.
func TestWhy(t *testing.T) {
	boot := Boot{BaseURL: "http://edge", RequestID: "req-1"}
	pair := map[string]Images{"": {"http://i/k", "http://i/r"}}
	for name, tt := range map[string]struct {
		node Node
		want []string
	}{
		"agent by configuration": {Node{ProvisionState: CleanWait, CPUArch: "x86_64"},
			[]string{"Its provision state is clean wait.", "deploy_kernel comes from this edge's configuration, for cpu_arch x86_64.", "So it gets deploy."}},
		"agent of its own": {Node{ProvisionState: CleanWait, Deploy: Images{"http://o/k", "http://o/r"}},
			[]string{"deploy_ramdisk comes from driver_info.", "So it gets deploy."}},
		"no agent needed": {Node{ProvisionState: Cleaning, RamdiskDisabled: true},
			[]string{"The steps at hand need no agent.", "So it gets nothing: its cleaning steps need no agent."}},
		"after the image":      {Node{ProvisionState: Deploying, DeployStep: "boot_instance"}, []string{"Its deploy step is boot_instance.", "So it boots its own disk."}},
		"a volume that is not": {Node{ProvisionState: Active, BootVolume: "v"}, []string{"It boots from the volume v, which is not among its volume targets, so it is none."}},
		"nothing":              {Node{ProvisionState: Available}, []string{"So it gets nothing: Ironic has nothing to boot for a node in provision state available."}},
		"a state of tomorrow":  {Node{ProvisionState: "dancing"}, []string{"So it gets a script that explains this on its console."}},
		"a bad value": {Node{ProvisionState: CleanWait, KernelAppendParams: new("a\nb")},
			[]string{"So it gets no script: kernel_append_params"}},
		"a port": {Node{ProvisionState: Active, Port: Port{Address: "52:54:00:00:00:01", PXEDisabled: true}},
			[]string{"Its port 52:54:00:00:00:01 has pxe_enabled off."}},
	} {
		tt.node.UUID, tt.node.BootInterface, tt.node.DeployInterface = "6cb6b1a1-8a2c-4e6e-a1f5-27b4a0a2b111", "ipxe", "direct"
		why := Why(&tt.node, boot, &Options{Deploy: pair})
		for _, want := range tt.want {
			if !slices.ContainsFunc(why, func(line string) bool { return strings.HasPrefix(line, want) }) {
				t.Errorf("%s: %q lacks %q", name, why, want)
			}
		}
	}
}
