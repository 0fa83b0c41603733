// SPDX-License-Identifier: Apache-2.0

package ipxe_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

const beaconNode = "8c3c2f8e-9c0d-4d52-a1f3-000000000001"

// beaconCases are nodes whose scripts have a failure path, by what the scripts boot.
var beaconCases = map[string]ipxe.Node{
	"deploy":   {ProvisionState: ipxe.DeployWait, DeployInterface: "direct"},
	"rescue":   {ProvisionState: ipxe.RescueWait, DeployInterface: "direct"},
	"ramdisk":  {ProvisionState: ipxe.Active, DeployInterface: "ramdisk", Instance: ipxe.Images{Kernel: "http://i/k", Ramdisk: "http://i/r"}},
	"ISO":      {ProvisionState: ipxe.Active, DeployInterface: "ramdisk", BootISO: "http://i/iso"},
	"anaconda": {ProvisionState: ipxe.DeployWait, DeployInterface: "anaconda", Instance: ipxe.Images{Kernel: "http://i/k", Ramdisk: "http://i/r"}, Stage2: "http://i/s"},
	"iSCSI": {ProvisionState: ipxe.Active, DeployInterface: "direct", BootVolume: "v",
		Volumes: []ipxe.Volume{{UUID: "v", Type: "iscsi", Portals: []string{"10.0.0.1:3260"}, IQN: "iqn.2026-11.t:v"}}},
	"disk": {ProvisionState: ipxe.Active, DeployInterface: "direct"},
}

func beaconScript(t *testing.T, node ipxe.Node, beacons bool) []byte {
	t.Helper()
	node.UUID, node.BootInterface = beaconNode, "ipxe"
	pair := map[string]ipxe.Images{"": {Kernel: "http://i/k", Ramdisk: "http://i/r"}}
	script, err := ipxe.Select(&node, ipxe.Boot{BaseURL: "http://edge:8080", RequestID: "req-1"},
		&ipxe.Options{KernelAppendParams: "nofb", Deploy: pair, Rescue: pair, Beacons: beacons})
	if err != nil {
		t.Fatal(err)
	}
	text, err := script.AppendText(nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// edgeOf answers with all that is asked for, reports with that status.
func edgeOf(beacon int) ipxetest.Machine {
	return ipxetest.Machine{NICs: []string{"52:54:00:17:00:01"}, Base: "http://edge:8080/boot.ipxe",
		Network: ipxetest.NetworkFunc(func(r ipxetest.Request) ipxetest.Response {
			if strings.Contains(r.URL, ipxe.BeaconPath) {
				return ipxetest.Response{Status: beacon, Body: []byte("noted\n")}
			}
			return ipxetest.Response{Status: 200}
		})}
}

// withoutBeacons splits a trace into the reports and all the rest.
func withoutBeacons(trace ipxetest.Trace) (rest ipxetest.Trace, beacons []string) {
	for _, e := range trace.Events {
		if strings.Contains(e.Text, ipxe.BeaconPath) && e.Kind == "GET" {
			beacons = append(beacons, e.Text)
			continue
		}
		rest.Events = append(rest.Events, e)
	}
	return rest, beacons
}

// TestBeacons runs each script with everything going well, and with each request failing once and for ever: but for its
// reports, one for each failure up to the limit, it does what the script without beacons does. It does so, too, when no
// report arrives.
func TestBeacons(t *testing.T) {
	t.Parallel()
	for name, node := range beaconCases {
		for _, status := range []int{200, 204, 404, 0} {
			t.Run(name+"/"+strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				plain := ipxetest.Cases(beaconScript(t, node, false), edgeOf(status))
				with := ipxetest.Cases(beaconScript(t, node, true), edgeOf(status))
				for _, want := range plain {
					i := slices.IndexFunc(with, func(c ipxetest.Case) bool { return c.Name == want.Name })
					if i < 0 {
						t.Fatalf("%s: no such case", want.Name)
					}
					rest, beacons := withoutBeacons(with[i].Trace)
					if rest.String() != want.Trace.String() {
						t.Errorf("%s: with beacons the machine does\n%s\nwithout\n%s", want.Name, rest, want.Trace)
					}
					failures := 0
					for _, e := range want.Trace.Events {
						if strings.Contains(e.Text+" ", " failed ") && e.Kind != "HEAD" {
							failures++
						}
					}
					if name == "ISO" && want.Trace.End().Kind == "error" {
						failures = 1 // however often its blocks were asked for
					}
					if name == "disk" {
						failures = 0 // on UEFI to leave the script so is the ordinary way to the disk, no failure
					}
					if len(beacons) != min(failures, ipxe.MaxBeacons) {
						t.Errorf("%s: %d failures, and the reports %q", want.Name, failures, beacons)
					}
					for n, b := range beacons {
						if !strings.Contains(b, "?node="+beaconNode+"&mac=52-54-00-17-00-01&label=") || !strings.Contains(b, "&errno=0x") || !strings.Contains(b, "&attempt="+strconv.Itoa(n+1)+" ") {
							t.Errorf("%s: report %d is %s", want.Name, n+1, b)
						}
					}
				}
			})
		}
	}
}

// TestBeaconText has the whole of a script with beacons, and what a report says.
func TestBeaconText(t *testing.T) {
	t.Parallel()
	text := string(beaconScript(t, beaconCases["deploy"], true))
	const want = `:no_kernel
set error ${errno}
set missing deploy_kernel
goto failed
:no_ramdisk
set error ${errno}
set missing deploy_ramdisk
:failed
iseq ${beacons} 11 && goto reported ||
inc beacons ||
imgfetch --timeout 3000 --name beacon http://edge:8080/edge/beacon?node=` + beaconNode + `&mac=${mac:hexhyp}&label=${missing}&errno=${error}&attempt=${beacons} ||
imgfree beacon ||
:reported
iseq ${failures} ${limit} && goto give_up ||
inc failures
`
	if !strings.Contains(text, want) {
		t.Errorf("the script is\n%s\nwant in it\n%s", text, want)
	}
	if plain := string(beaconScript(t, beaconCases["deploy"], false)); strings.Contains(plain, "beacon") {
		t.Errorf("without beacons the script is\n%s", plain)
	}
	cases := ipxetest.Cases([]byte(text), edgeOf(200))
	for label, failing := range map[string]string{"deploy_kernel": "/deploy_kernel", "deploy_ramdisk": "/deploy_ramdisk"} {
		i := slices.IndexFunc(cases, func(c ipxetest.Case) bool { return c.Name == "GET http://edge:8080/"+beaconNode+failing+" fails once" })
		_, beacons := withoutBeacons(cases[i].Trace)
		if len(beacons) != 1 || !strings.Contains(beacons[0], "&label="+label+"&errno=0xf0a6039&attempt=1 ok timeout=3000") {
			t.Errorf("%s: %q", label, beacons)
		}
	}
}

// TestConsoleHasTheError wants the number of the fetch that failed on the console, not that of what was asked after it.
func TestConsoleHasTheError(t *testing.T) {
	t.Parallel()
	for _, beacons := range []bool{false, true} {
		m := edgeOf(404)
		m.Network = ipxetest.NetworkFunc(func(ipxetest.Request) ipxetest.Response { return ipxetest.Response{Status: 403} })
		got := ipxetest.Run(beaconScript(t, beaconCases["deploy"], beacons), m).String()
		if !strings.Contains(got, "echo Kernel or ramdisk did not arrive (0x410c613c), attempt 1 of 10") {
			t.Errorf("beacons %v:\n%s", beacons, got)
		}
	}
}
