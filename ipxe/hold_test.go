// SPDX-License-Identifier: Apache-2.0

package ipxe_test

import (
	"errors"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// TestHold runs the script of a held node: it asks again after failures of every kind, and leaves for what it gets.
func TestHold(t *testing.T) {
	t.Parallel()
	node := &ipxe.Node{UUID: "8c3c2f8e-9c0d-4d52-a1f3-000000000001", Name: "rack1 || reboot", ProvisionState: ipxe.DeployWait}
	script, err := ipxe.Hold(node, ipxe.Boot{BaseURL: "http://edge:8080/"}, "loop", "It has started ${its} agent 5 times && reboot.")
	if err != nil {
		t.Fatal(err)
	}
	text, err := script.AppendText(nil)
	if err != nil {
		t.Fatal(err)
	}
	const again = "http://edge:8080/8c3c2f8e-9c0d-4d52-a1f3-000000000001/config"
	world := &answers{{Status: 404}, {Status: 200, Body: text}, {}, {Status: 200, Body: []byte("#!ipxe\npoweroff\n")}}
	got := ipxetest.Run(text, ipxetest.Machine{NICs: []string{"52:54:00:12:34:56"}, Network: world, Base: "http://edge:8080/boot.ipxe"}).String()
	const held = `echo ironic-edge: node 8c3c2f8e-9c0d-4d52-a1f3-000000000001 (rack1 ?? reboot) is in state wait call-back: hold
echo ironic-edge: It has started ?{its} agent 5 times ?? reboot.
`
	const asks = "echo ironic-edge: this machine is held; reason code loop, asking again in 60 s\nsleep 60\nGET " + again
	want := held + asks + " 404\n" + asks + " ok\n" + held + asks + " failed\n" + asks + " ok\npoweroff\n"
	if got != want {
		t.Errorf("the machine does\n%s\nwant\n%s", got, want)
	}
	var refused *ipxe.Refused
	for _, bad := range []*ipxe.Node{{UUID: "a b"}, {UUID: ""}} {
		if _, err := ipxe.Hold(bad, ipxe.Boot{BaseURL: "http://edge"}, "loop"); !errors.As(err, &refused) {
			t.Errorf("a node with the UUID %q is held: %v", bad.UUID, err)
		}
	}
	if _, err := ipxe.Hold(node, ipxe.Boot{BaseURL: "http://edge/${x}"}, "loop"); !errors.As(err, &refused) {
		t.Errorf("a bad base URL: %v", err)
	}
}

// answers are a network's answers, one after the other.
type answers []ipxetest.Response

func (a *answers) Fetch(ipxetest.Request) ipxetest.Response {
	if len(*a) == 0 {
		return ipxetest.Response{Status: 404}
	}
	first := (*a)[0]
	*a = (*a)[1:]
	return first
}
