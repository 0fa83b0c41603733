// SPDX-License-Identifier: Apache-2.0

package ipxe

import "errors"

// MAC is a hardware address of six octets in Ironic's form: lower case, separated by colons.
type MAC string

var errMAC = errors.New("is not a MAC address")

// ParseMAC reads a hardware address in each spelling that firmware and boot loaders send:
//
//	52:54:00:12:34:56  52-54-00-12-34-56   iPXE's ${mac} and ${mac:hexhyp}
//	525400123456       5254.0012.3456      ${mac:hexraw}, network gear
//	01-52-54-00-12-34-56                   PXELINUX, with the hardware type in front (RFC 1700: 1 is Ethernet)
//
// in either case of letters. InfiniBand has longer ones: the GUID of a port (8 octets), the hardware address that holds
// it at its end (20 octets, also the DHCP client identifier), each with or without the hardware type 20 in front. Ironic
// knows such a port by the first and last three octets of the GUID (Ironic's admin guide on InfiniBand), so that is
// the address that ParseMAC returns.
func ParseMAC(s string) (MAC, error) {
	var octets [21]byte
	n, err := parseOctets(s, &octets)
	if err != nil {
		return "", err
	}
	b := octets[:n]
	switch {
	case n == 7 && b[0] == 0x01, (n == 9 || n == 21) && b[0] == 0x20:
		b = b[1:]
	}
	switch len(b) {
	case 6:
	case 8, 20:
		guid := b[len(b)-8:]
		b = append(b[:0:0], guid[0], guid[1], guid[2], guid[5], guid[6], guid[7])
	default:
		return "", errMAC
	}
	if b[0]&1 != 0 {
		return "", errMAC // a group address (IEEE 802) is nobody's own
	}
	return formatMAC(b), nil
}

// parseOctets reads pairs of hexadecimal digits that are separated throughout by one kind of separator or by none.
// Dots separate pairs of octets.
func parseOctets(s string, octets *[21]byte) (int, error) {
	var separator byte
	if len(s) > 2 {
		switch {
		case s[2] == ':' || s[2] == '-':
			separator = s[2]
		case len(s) > 4 && s[4] == '.':
			separator = '.'
		}
	}
	n := 0
	for i := 0; i < len(s); {
		if n > 0 && separator != 0 && (separator != '.' || n%2 == 0) {
			if s[i] != separator {
				return 0, errMAC
			}
			i++
		}
		if i+2 > len(s) || n == len(octets) || !isHex(s[i]) || !isHex(s[i+1]) {
			return 0, errMAC
		}
		octets[n] = unhex(s[i])<<4 | unhex(s[i+1])
		n++
		i += 2
	}
	return n, nil
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func formatMAC(b []byte) MAC {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 17)
	for i, o := range b {
		if i > 0 {
			out = append(out, ':')
		}
		out = append(out, digits[o>>4], digits[o&15])
	}
	return MAC(out)
}

// Hyphens returns the address in the form of iPXE's ${mac:hexhyp}, which Ironic uses in the names of its files.
func (m MAC) Hyphens() string {
	b := []byte(m)
	for i, c := range b {
		if c == ':' {
			b[i] = '-'
		}
	}
	return string(b)
}
