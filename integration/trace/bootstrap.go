// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// Machines are those on which the bootstrap is tried: with NICs that have a script and NICs that have none.
func Machines() map[string]ipxetest.Machine {
	const one, two = "52:54:00:00:00:01", "52:54:00:00:00:02"
	world := func(scripts map[string]string) ipxetest.Network {
		return ipxetest.NetworkFunc(func(r ipxetest.Request) ipxetest.Response {
			name := r.URL[strings.LastIndex(r.URL, "/")+1:]
			if text, ok := scripts[strings.ReplaceAll(name, "-", ":")]; ok {
				return ipxetest.Response{Status: 200, Body: []byte("#!ipxe\n" + text)}
			}
			return ipxetest.Response{Status: 404}
		})
	}
	const boots, returns, fails = "chain http://kernel/k\n", "exit 0\n", "isset\n"
	machines := map[string]ipxetest.Machine{
		"first NIC boots":             {NICs: []string{one, two}, Network: world(map[string]string{one: boots})},
		"second NIC boots":            {NICs: []string{one, two}, Network: world(map[string]string{two: boots})},
		"first NIC returns":           {NICs: []string{one, two}, Network: world(map[string]string{one: returns, two: boots})},
		"first NIC fails":             {NICs: []string{one, two}, Network: world(map[string]string{one: fails, two: boots})},
		"nothing":                     {NICs: []string{one, two}, Network: world(nil)},
		"nothing, and a key":          {NICs: []string{one}, Network: world(nil), Key: true},
		"fallback boots":              {NICs: []string{one}, Network: world(map[string]string{"fallback.ipxe": boots})},
		"fallback returns":            {NICs: []string{one}, Network: world(map[string]string{"fallback.ipxe": returns})},
		"no NIC with an address":      {NICs: nil, Network: world(nil)},
		"first NIC, kernel is absent": {NICs: []string{one}, Network: world(map[string]string{one: "kernel absent\nboot\n"})},
	}
	for name, m := range machines {
		m.Base = HTTPURL + "/boot.ipxe"
		machines[name] = m
	}
	return machines
}

// OnMachine is the trace of a script on a machine, with each request failing once and for ever.
func OnMachine(script []byte, m ipxetest.Machine) string {
	return ipxetest.Format(ipxetest.Cases(script, m))
}
