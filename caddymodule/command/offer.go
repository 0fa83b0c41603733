// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"net"
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
	want    string // what its offer has to begin with, below the edge's public_url
	remedy  string
}

var machines = []machine{
	{"dhcp for iPXE", []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(175), []byte{0xb1, 0x02, 0x80, 0x86})), // only iPXE sends it
		dhcpv4.WithUserClass("iPXE", false),
	}, "/boot.ipxe", "give iPXE the edge's /boot.ipxe"},
	{"dhcp for UEFI by HTTP", []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003000")),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64_HTTP)),
	}, "/", "give UEFI firmware that loads by HTTP an .efi of the edge"},
}

// offers asks the DHCP servers on an interface what they would tell machines that boot, and compares it with where the
// edge is. It takes no address: an offer that nobody requests runs out.
func offers(ctx context.Context, name, edge string) []api.Check {
	checks := make([]api.Check, 0, len(machines))
	for _, m := range machines {
		c := api.Check{Name: m.name}
		file, err := offer(ctx, name, m.options)
		switch {
		case err != nil:
			c.Result, c.Seen, c.Next = "bad", err.Error(), "see that a DHCP server answers on "+name+", and run this as root there"
		case edge == "":
			c.Result, c.Seen = "skipped", "offers "+file+", and the edge has no public_url to compare it with"
		case strings.HasPrefix(file, edge+m.want):
			c.Result, c.Seen = "good", "offers "+file
		default:
			c.Result, c.Seen = "bad", fmt.Sprintf("offers %q", file)
			c.Next = m.remedy + "; `ironic-edge dhcp-snippet` prints what the server needs"
		}
		checks = append(checks, c)
	}
	return checks
}

// offer returns the boot file that a server offers.
func offer(ctx context.Context, name string, options []dhcpv4.Modifier) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// An address that nobody has, locally administered, so that the machine's own lease is left alone.
	hardware := net.HardwareAddr{0x02, 0x1e, 0xd6, 0x00, 0x00, 0x01}
	client, err := nclient4.New(name, nclient4.WithHWAddr(hardware), nclient4.WithTimeout(3*time.Second), nclient4.WithRetry(3))
	if err != nil {
		return "", err
	}
	defer client.Close()
	options = append(options, dhcpv4.WithBroadcast(true),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName, dhcpv4.OptionClassIdentifier))
	got, err := client.DiscoverOffer(ctx, options...)
	if err != nil {
		return "", fmt.Errorf("no offer: %w", err)
	}
	if file := got.BootFileNameOption(); file != "" {
		return file, nil
	}
	return got.BootFileName, nil
}
