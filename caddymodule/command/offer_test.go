// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"
	"testing"
)

// TestJudge compares what DHCP servers offer with where the edges are.
func TestJudge(t *testing.T) {
	t.Parallel()
	ipxe, uefi := &machines[0], &machines[1]
	edges := []string{"http://edge.rack17:8080", "http://edge.rack18"}
	offered := func(file string) offer { return offer{"10.17.0.2", file, httpClient} }
	for name, tt := range map[string]struct {
		machine *machine
		found   []offer
		edges   []string
		result  string
		seen    string
	}{
		"here":                    {ipxe, []offer{offered("http://edge.rack17:8080/boot.ipxe")}, edges, "good", "10.17.0.2 offers http://edge.rack17:8080/boot.ipxe"},
		"at another edge of ours": {ipxe, []offer{offered("http://edge.rack18/boot.ipxe")}, edges, "good", ""},
		"a host that begins so":   {uefi, []offer{offered("http://edge.rack18.elsewhere/ipxe.efi")}, edges, "bad", `10.17.0.2 offers "http://edge.rack18.elsewhere/ipxe.efi", which is not at the edge`},
		"elsewhere":               {ipxe, []offer{offered("http://conductor:8088/boot.ipxe")}, edges, "bad", `10.17.0.2 offers "http://conductor:8088/boot.ipxe"`},
		"by TFTP":                 {ipxe, []offer{offered("undionly.kpxe")}, edges, "bad", `offers "undionly.kpxe"`},
		"another path":            {ipxe, []offer{offered("http://edge.rack17:8080/ipxe.efi")}, edges, "bad", "ipxe.efi"},
		"nothing to boot":         {ipxe, []offer{offered("")}, edges, "bad", "10.17.0.2 offers an address and nothing to boot"},
		"two servers, one of which leaves it to the other": {ipxe, []offer{{"10.17.0.1", "", ""}, offered("http://edge.rack17:8080/boot.ipxe")}, edges, "good", "10.17.0.2 offers http"},
		"two servers, one of which is another's":           {ipxe, []offer{offered("http://edge.rack17:8080/boot.ipxe"), {"10.17.0.9", "pxelinux.0", ""}}, edges, "bad", `8080/boot.ipxe; 10.17.0.9 offers "pxelinux.0"`},
		"no public_url":                                    {ipxe, []offer{offered("http://edge.rack17:8080/boot.ipxe")}, nil, "skipped", "no public_url"},
		"UEFI":                                             {uefi, []offer{offered("http://edge.rack17:8080/ipxe.efi")}, edges, "good", "10.17.0.2 offers http://edge.rack17:8080/ipxe.efi"},
		"UEFI without its class":                           {uefi, []offer{{"10.17.0.2", "http://edge.rack17:8080/ipxe.efi", ""}}, edges, "bad", `with the vendor class "", so that firmware passes it over`},
	} {
		c := tt.machine.judge(tt.found, tt.edges)
		if c.Result != tt.result || !strings.Contains(c.Seen, tt.seen) || (c.Next != "") != (c.Result == "bad") {
			t.Errorf("%s: %+v, want %s and %q", name, c, tt.result, tt.seen)
		}
	}
}
