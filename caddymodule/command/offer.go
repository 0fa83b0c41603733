// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

// machine is one that asks for an address, as DHCP servers tell it from others.
type machine struct {
	name    string
	options []dhcpv4.Modifier
	want    string // how the boot file of its offer begins, below the edge's public_url
	class   string // the vendor class without which its firmware passes over an offer
	remedy  string
}

var machines = []machine{
	{"dhcp for iPXE", []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(175), []byte{0xb1, 0x02, 0x80, 0x86})), // only iPXE sends it
		dhcpv4.WithUserClass("iPXE", false),
	}, "/boot.ipxe", "", "give iPXE the edge's /boot.ipxe"},
	{"dhcp for UEFI by HTTP", []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(httpClient + ":Arch:00016:UNDI:003000")),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64_HTTP)),
	}, "/", httpClient, "give UEFI firmware that loads by HTTP an .efi of the edge"},
}

// httpClient is the vendor class of UEFI HTTP boot, of the client and of offers to it (UEFI 2.10, 24.7.3.1).
const httpClient = "HTTPClient"

// offer is what a DHCP server would have a machine do.
type offer struct {
	server string // its address
	file   string // that is to be booted; empty: the server leaves that to another
	class  string // vendor class
}

// offers asks the DHCP servers on an interface what they would tell machines that boot, and compares it with where the
// edges are. It takes no address: an offer that nobody requests runs out.
func offers(ctx context.Context, name string, edges []string) []api.Check {
	checks := make([]api.Check, len(machines))
	for i := range machines {
		found, err := discover(ctx, name, machines[i].options)
		if err != nil {
			checks[i] = api.Check{Name: machines[i].name, Result: "bad", Seen: err.Error(), Next: "see that a DHCP server answers on " + name + ", and run this as root there"}
			continue
		}
		checks[i] = machines[i].judge(found, edges)
	}
	return checks
}

// judge compares offers with where the edges are.
func (m *machine) judge(found []offer, edges []string) api.Check {
	c := api.Check{Name: m.name, Result: "good"}
	told := slices.ContainsFunc(found, func(o offer) bool { return o.file != "" })
	var seen []string
	for _, o := range found {
		switch here := slices.ContainsFunc(edges, func(edge string) bool { return strings.HasPrefix(o.file, edge+m.want) }); {
		case o.file == "" && told:
			continue // a server of addresses beside that of boot files
		case o.file == "":
			c.Result = "bad"
			seen = append(seen, o.server+" offers an address and nothing to boot")
		case len(edges) == 0:
			c.Result = "skipped"
			seen = append(seen, o.server+" offers "+o.file+", and the edge has no public_url to compare it with")
		case !here:
			c.Result = "bad"
			seen = append(seen, fmt.Sprintf("%s offers %q, which is not at the edge", o.server, o.file))
		case m.class != "" && !strings.HasPrefix(o.class, m.class):
			c.Result = "bad"
			seen = append(seen, fmt.Sprintf("%s offers %s with the vendor class %q, so that firmware passes it over", o.server, o.file, o.class))
		default:
			seen = append(seen, o.server+" offers "+o.file)
		}
	}
	c.Seen = strings.Join(seen, "; ")
	if c.Result == "bad" {
		c.Next = m.remedy + "; ironic-edge dhcp-snippet prints what the server needs"
	}
	return c
}

// lateOffers is how long after the first offer those of other servers are waited for, which is what firmware does, too.
const lateOffers = time.Second

// discover returns the offers of all servers that answer.
func discover(ctx context.Context, name string, options []dhcpv4.Modifier) ([]offer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// An address that nobody has, locally administered, so that the machine's own lease is left alone.
	hardware := net.HardwareAddr{0x02, 0x1e, 0xd6, 0x00, 0x00, 0x01}
	client, err := nclient4.New(name, nclient4.WithHWAddr(hardware), nclient4.WithTimeout(3*time.Second), nclient4.WithRetry(3))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	question, err := dhcpv4.NewDiscovery(hardware, append(slices.Clone(options), dhcpv4.WithBroadcast(true), dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(nclient4.MaxMessageSize)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName, dhcpv4.OptionClassIdentifier))...)
	if err != nil {
		return nil, err
	}
	var found []offer
	collect := func(packet *dhcpv4.DHCPv4) bool { // is called by one goroutine, and wants more until the time is over
		if packet.MessageType() != dhcpv4.MessageTypeOffer {
			return false
		}
		if len(found) == 0 {
			time.AfterFunc(lateOffers, cancel)
		}
		if o := offerOf(packet); !slices.Contains(found, o) {
			found = append(found, o)
		}
		return false
	}
	if _, err = client.SendAndRead(ctx, nclient4.DefaultServers, question, collect); len(found) == 0 {
		return nil, fmt.Errorf("no offer: %w", err)
	}
	return found, nil
}

// offerOf reads an offer. The boot file may stand in an option or in the header (RFC 2132, 9.5).
func offerOf(packet *dhcpv4.DHCPv4) offer {
	o := offer{server: "a server", file: packet.BootFileNameOption(), class: packet.ClassIdentifier()}
	if address := packet.ServerIdentifier(); address != nil {
		o.server = address.String()
	}
	if o.file == "" {
		o.file = packet.BootFileName
	}
	return o
}
