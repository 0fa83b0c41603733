// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"errors"
	"testing"
)

const testUUID = "8c3c2f8e-9c0d-4d52-a1f3-000000000001"

var testBoot = Boot{BaseURL: "http://edge:8080", RequestID: "req-1"}

func testOptions() *Options {
	pair := map[string]Images{"": {"http://images/k", "http://images/r"}}
	return &Options{KernelAppendParams: "nofb vga=normal", Deploy: pair, Rescue: pair}
}

// TestSelectTable walks every provision state through the deploy interfaces and wants the kind of script, or the reason
// why there is none.
func TestSelectTable(t *testing.T) {
	t.Parallel()
	direct := Node{UUID: testUUID, BootInterface: "ipxe", DeployInterface: "direct"}
	ramdisk := Node{UUID: testUUID, BootInterface: "http-ipxe", DeployInterface: "ramdisk", Instance: Images{"http://i/k", "http://i/r"}}
	anaconda := Node{UUID: testUUID, BootInterface: "ipxe", DeployInterface: "anaconda", Instance: Images{"http://i/k", "http://i/r"}, Stage2: "http://i/s"}
	volume := Node{UUID: testUUID, BootInterface: "ipxe", DeployInterface: "direct", BootVolume: "v",
		Volumes: []Volume{{UUID: "v", Type: "iscsi", Portals: []string{"10.0.0.1:3260"}, IQN: "iqn.2026-11.t:v"}}}
	type row struct{ direct, ramdisk, anaconda, volume string }
	same := func(s string) row { return row{s, s, s, s} }
	const d, r, a, v, w, none = "deploy", "boot_ramdisk", "boot_anaconda", "boot_iscsi", "boot_whole_disk", "no: state"
	instance := row{w, r, w, v}
	broken := row{w, none, w, none}
	for state, want := range map[State]row{
		Enroll: same(none), Verifying: same(none), Manageable: same(none), Available: same(none),
		Deploying: {d, r, a, v}, DeployWait: {d, r, a, v}, DeployHold: {d, r, a, v},
		DeployFail: same(none), DeployDone: same(none),
		Active: instance, Adopting: instance, Unrescuing: instance, ServiceFail: instance,
		AdoptFail: broken, UnrescueFail: broken, RescueFail: broken,
		Cleaning: same(d), CleanWait: same(d), CleanHold: same(d), CleanFail: same(none),
		Inspecting: same("no: inspection"), InspectWait: same("no: inspection"), InspectFail: same(none),
		Servicing: same(d), ServiceWait: same(d), ServiceHold: same(d), Service: same(none),
		Rescuing: same(d), RescueWait: same(d), Rescue: same(none),
		Deleting: {none, r, none, none}, Deleted: same(none), Error: same(none), Rebuild: same(none),
		"teleporting": same("explain"), "": same("explain"),
	} {
		for name, c := range map[string]struct {
			node Node
			want string
		}{"direct": {direct, want.direct}, "ramdisk": {ramdisk, want.ramdisk}, "anaconda": {anaconda, want.anaconda}, "volume": {volume, want.volume}} {
			t.Run(string(state)+"/"+name, func(t *testing.T) {
				t.Parallel()
				c.node.ProvisionState = state
				if got := outcome(Select(&c.node, testBoot, testOptions())); got != c.want {
					t.Errorf("Select = %q, want %q", got, c.want)
				}
			})
		}
	}
}

// outcome puts what Select returns into one word or two.
func outcome(s Script, err error) string {
	var nothing *NotBootable
	var refused *Refused
	switch {
	case errors.As(err, &nothing):
		return "no: " + string(nothing.Reason)
	case errors.As(err, &refused):
		return "refused: " + string(refused.Reason)
	case err != nil:
		return err.Error()
	}
	return string(s.Kind)
}

func TestSelectFacts(t *testing.T) {
	t.Parallel()
	line := func(s string) *string { return &s }
	volume := []Volume{{UUID: "v", Type: "iscsi", Portals: []string{"10.0.0.1:3260"}, IQN: "iqn.2026-11.t:v"}}
	for name, tt := range map[string]struct {
		node    Node
		options func(*Options)
		want    string
	}{
		"boot interface pxe":       {Node{ProvisionState: DeployWait, BootInterface: "pxe"}, nil, "no: boot_interface"},
		"port disabled":            {Node{ProvisionState: DeployWait, Port: Port{PXEDisabled: true}}, nil, "no: port_disabled"},
		"port disabled in 21.4":    {Node{ProvisionState: DeployWait, Port: Port{PXEDisabled: true}}, func(o *Options) { o.Compat = Release{21, 4} }, "deploy"},
		"image is written":         {Node{ProvisionState: Deploying, DeployStep: "boot_instance"}, nil, "boot_whole_disk"},
		"image is being written":   {Node{ProvisionState: DeployWait, DeployStep: "write_image"}, nil, "deploy"},
		"cleaning without agent":   {Node{ProvisionState: CleanWait, RamdiskDisabled: true}, nil, "no: ramdisk_disabled"},
		"service without agent":    {Node{ProvisionState: ServiceWait, RamdiskDisabled: true}, nil, "boot_whole_disk"},
		"managed inspection":       {Node{ProvisionState: InspectWait, InspectionManaged: true}, nil, "deploy"},
		"local boot off":           {Node{ProvisionState: Active}, func(o *Options) { o.NoLocalBoot = true }, "no: local_boot_off"},
		"boot volume gone":         {Node{ProvisionState: Active, BootVolume: "v"}, nil, "boot_whole_disk"},
		"no images":                {Node{ProvisionState: DeployWait}, func(o *Options) { o.Deploy = nil }, "refused: no_image"},
		"images at the conductor":  {Node{ProvisionState: DeployWait}, func(o *Options) { o.Deploy, o.ConductorFiles = nil, true }, "deploy"},
		"half a pair on the node":  {Node{ProvisionState: DeployWait, Deploy: Images{Kernel: "http://n/k"}}, func(o *Options) { o.Deploy = nil }, "refused: no_image"},
		"ramdisk without images":   {Node{ProvisionState: Active, DeployInterface: "ramdisk"}, nil, "refused: no_image"},
		"parameter with expansion": {Node{ProvisionState: DeployWait, KernelAppendParams: line("x=${net0/mac}")}, nil, "refused: value"},
		"parameter with line feed": {Node{ProvisionState: DeployWait, KernelAppendParams: line("x\nshell")}, nil, "refused: value"},
		"ramdisk arguments":        {Node{ProvisionState: Active, DeployInterface: "ramdisk", Instance: Images{"http://i/k", "http://i/r"}, RamdiskKernelArguments: "a || shell"}, nil, "refused: value"},
		"ramdisk on a volume":      {Node{ProvisionState: Deploying, DeployInterface: "ramdisk", Instance: Images{"http://i/k", "http://i/r"}, BootVolume: "v", Volumes: volume}, nil, "boot_iscsi"},
		"anaconda on a volume":     {Node{ProvisionState: DeployWait, DeployInterface: "anaconda", Instance: Images{"http://i/k", "http://i/r"}, BootVolume: "v", Volumes: volume}, nil, "boot_iscsi"},
		"volume redacted":          {Node{ProvisionState: Active, BootVolume: "v", Volumes: []Volume{{UUID: "v", Type: "iscsi", Redacted: true}}}, nil, "refused: no_volume"},
		"volume with CHAP": {Node{ProvisionState: Active, BootVolume: "v",
			Volumes: []Volume{{UUID: "v", Type: "iscsi", IQN: "iqn.a", Portals: []string{"h:1"}, Username: "u"}}}, nil, "refused: secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.node.UUID = testUUID
			if tt.node.BootInterface == "" {
				tt.node.BootInterface = "ipxe"
			}
			o := testOptions()
			if tt.options != nil {
				tt.options(o)
			}
			if got := outcome(Select(&tt.node, testBoot, o)); got != tt.want {
				t.Errorf("Select = %q, want %q", got, tt.want)
			}
		})
	}
}
