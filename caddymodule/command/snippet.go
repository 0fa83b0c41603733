// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

// site is what a DHCP server has to know of an edge.
type site struct {
	URL      string // public_url
	Firmware string // URL of the first .efi, for firmware that loads it by HTTP
	TFTP     string // address of the TFTP server, for firmware that cannot; empty: there is none
}

func snippetCommand() *cobra.Command {
	var s site
	names := strings.Join(slices.Sorted(maps.Keys(snippets)), "|")
	cmd := &cobra.Command{
		Use:   "dhcp-snippet " + names,
		Short: "Print what a DHCP server needs to send nodes here",
		Long: `Prints the part of a DHCP server's configuration that sends the rack's nodes to the edge. iPXE gets boot.ipxe; UEFI
firmware that loads by HTTP gets --firmware; all others get iPXE by TFTP from --tftp, if that is given. It asks nobody.

Exits with 1 if a value would not fit into that server's configuration.`,
		Example:   "  ironic-edge dhcp-snippet dnsmasq --url http://edge.rack17:8080 --tftp 10.17.0.2",
		ValidArgs: slices.Sorted(maps.Keys(snippets)),
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			if err := s.check(args[0]); err != nil {
				return 0, err
			}
			return 0, s.write(cmd.OutOrStdout(), args[0])
		}),
	}
	cmd.Flags().StringVar(&s.URL, "url", "", "the edge's public_url; `http://host:port`")
	cmd.Flags().StringVar(&s.Firmware, "firmware", "", "the `url` of the first .efi for UEFI HTTP boot; default: /ipxe.efi at --url, which needs a mirror")
	cmd.Flags().StringVar(&s.TFTP, "tftp", "", "the `address` of a TFTP server with undionly.kpxe and ipxe.efi")
	_ = cmd.MarkFlagRequired("url") // it is there
	return cmd
}

// check refuses what a DHCP server or firmware would take for something else.
func (s *site) check(server string) error {
	s.URL = strings.TrimRight(s.URL, "/")
	if s.Firmware == "" {
		s.Firmware = s.URL + "/ipxe.efi"
	}
	for _, f := range []struct{ name, value string }{{"url", s.URL}, {"firmware", s.Firmware}} {
		u, err := url.Parse(f.value)
		if err == nil && (u.Scheme != "http" || u.Host == "" || strings.ContainsAny(f.value, "\",'\\ \t")) {
			err = errors.New("is not an http URL without commas, quotes and blanks")
		}
		if err != nil {
			return fmt.Errorf("option %s: %q %w; give one such as http://edge.rack17:8080", f.name, f.value, err)
		}
	}
	if s.TFTP != "" {
		if _, err := netip.ParseAddr(s.TFTP); err != nil {
			return fmt.Errorf("option tftp: %q is not an address; give one such as 10.17.0.2", s.TFTP)
		}
	}
	// ironic/dhcp/neutron.py hands values to Neutron, which takes 64 characters of this option and no more.
	if value := s.URL + "/boot.ipxe"; server == "neutron" && len(value) > 64 {
		return fmt.Errorf("option url: %q has %d characters with /boot.ipxe, and Neutron takes 64; give a shorter name", s.URL, len(value))
	}
	return nil
}

func (s *site) write(out io.Writer, server string) error {
	return template.Must(template.New(server).Parse(snippets[server])).Execute(out, s)
}

// snippets are by DHCP server. Options: 60 vendor class, 67 boot file (RFC 2132), 77 user class (RFC 3004), 93 client
// architecture (RFC 4578; 7 and 9 UEFI x86-64, 11 UEFI arm64, 16 and 19 the same by HTTP), 175 what only iPXE sends.
var snippets = map[string]string{
	"dnsmasq": `# ironic-edge at {{.URL}}
# iPXE, from a NIC's ROM or loaded by the lines below, asks the edge.
dhcp-match=set:ipxe,175
dhcp-boot=tag:ipxe,{{.URL}}/boot.ipxe
# UEFI firmware that loads by HTTP (x86-64 and arm64) gets iPXE from the edge.
dhcp-match=set:http,option:client-arch,16
dhcp-match=set:http,option:client-arch,19
dhcp-option-force=tag:http,tag:!ipxe,60,HTTPClient
dhcp-boot=tag:http,tag:!ipxe,{{.Firmware}}
{{- if .TFTP}}
# All others get it by TFTP.
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-match=set:efi,option:client-arch,11
dhcp-boot=tag:efi,tag:!ipxe,tag:!http,ipxe.efi,,{{.TFTP}}
dhcp-boot=tag:!efi,tag:!ipxe,tag:!http,undionly.kpxe,,{{.TFTP}}
{{- end}}
`,
	"isc": `# ironic-edge at {{.URL}}
option client-arch code 93 = unsigned integer 16;
# iPXE, from a NIC's ROM or loaded by what is below, asks the edge.
if exists user-class and option user-class = "iPXE" {
  filename "{{.URL}}/boot.ipxe";
# UEFI firmware that loads by HTTP (x86-64 and arm64) gets iPXE from the edge.
} elsif exists client-arch and (option client-arch = 16 or option client-arch = 19) {
  option vendor-class-identifier "HTTPClient";
  filename "{{.Firmware}}";
{{- if .TFTP}}
# All others get it by TFTP.
} elsif exists client-arch and (option client-arch = 7 or option client-arch = 9 or option client-arch = 11) {
  next-server {{.TFTP}};
  filename "ipxe.efi";
} else {
  next-server {{.TFTP}};
  filename "undionly.kpxe";
{{- end}}
}
`,
	"kea": `// ironic-edge at {{.URL}}: belongs into "Dhcp4".
"client-classes": [
  // iPXE, from a NIC's ROM or loaded by what is below, asks the edge.
  {
    "name": "ironic-edge-ipxe",
    "test": "option[175].exists or substring(option[77].hex,0,4) == 'iPXE'",
    "boot-file-name": "{{.URL}}/boot.ipxe"
  },
  // UEFI firmware that loads by HTTP (x86-64 and arm64) gets iPXE from the edge.
  {
    "name": "ironic-edge-http",
    "test": "(option[93].hex == 0x0010 or option[93].hex == 0x0013) and not member('ironic-edge-ipxe')",
    "boot-file-name": "{{.Firmware}}",
    "option-data": [ { "name": "vendor-class-identifier", "data": "HTTPClient", "always-send": true } ]
  }
{{- if .TFTP}},
  // All others get it by TFTP.
  {
    "name": "ironic-edge-efi",
    "test": "(option[93].hex == 0x0007 or option[93].hex == 0x0009 or option[93].hex == 0x000b) and not member('ironic-edge-ipxe')",
    "next-server": "{{.TFTP}}",
    "boot-file-name": "ipxe.efi"
  },
  {
    "name": "ironic-edge-bios",
    "test": "option[93].hex == 0x0000 and not member('ironic-edge-ipxe')",
    "next-server": "{{.TFTP}}",
    "boot-file-name": "undionly.kpxe"
  }
{{- end}}
]
`,
	"neutron": `# ironic-edge at {{.URL}}
# Ironic tells Neutron what nodes get. All nodes of a conductor, in the ironic.conf of a conductor group of this site:
#   [deploy]
#   http_url = {{.URL}}
# The conductor then asks the edge for its own /agent_images/, so the edge needs a mirror of that.
#
# Ports that Ironic does not manage, one by one:
openstack port set <port> \
  --extra-dhcp-option name=tag:ipxe,67,value={{.URL}}/boot.ipxe,ip-version=4
{{- if .TFTP}} \
  --extra-dhcp-option name=tag:!ipxe,67,value=undionly.kpxe,ip-version=4 \
  --extra-dhcp-option name=66,value={{.TFTP}},ip-version=4
{{- end}}
`,
}
