// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"errors"
	"strings"
)

// Why says in sentences what Select's answer for a node comes from: the facts that decide, in the order of the table, and
// what follows. It holds no secret.
func Why(n *Node, b Boot, o *Options) []string {
	var why []string
	say := func(words ...string) { why = append(why, strings.Join(words, "")) }
	say("Its provision state is ", string(n.ProvisionState), ".")
	say("Its boot interface is ", n.BootInterface, ", its deploy interface ", n.DeployInterface, ".")
	if n.Port.PXEDisabled {
		say("Its port ", n.Port.Address, " has pxe_enabled off.")
	}
	if n.DeployStep != "" {
		say("Its deploy step is ", n.DeployStep, ".")
	}
	if n.BootVolume != "" {
		what := "is not among its volume targets, so it is none"
		if v, ok := n.bootVolume(); ok {
			what = "is of type " + v.Type
		}
		say("It boots from the volume ", n.BootVolume, ", which ", what, ".")
	}
	if n.RamdiskDisabled {
		say("The steps at hand need no agent.")
	}
	script, err := Select(n, b, o)
	var nothing *NotBootable
	var refused *Refused
	switch {
	case errors.As(err, &nothing):
		say("So it gets nothing: ", nothing.Text, ".")
		return why
	case errors.As(err, &refused):
		say("So it gets no script: ", refused.Text)
		return why
	}
	for _, label := range script.ImageLabels {
		say(label, " comes from ", imageSource(n, o, label), ".")
	}
	switch {
	case script.Kind == KindExplain:
		say("So it gets a script that explains this on its console.")
	case script.Kind == KindWholeDisk:
		say("So it boots its own disk.")
	default:
		say("So it gets ", string(script.Kind), ".")
	}
	return why
}

// imageSource says who names an image.
func imageSource(n *Node, o *Options, label string) string {
	own := map[string]bool{DeployKernel: n.Deploy.Complete(), DeployRamdisk: n.Deploy.Complete(),
		RescueKernel: n.Rescue.Complete(), RescueRamdisk: n.Rescue.Complete()}
	named, agents := own[label]
	ref, err := ImageRef(n, o, label)
	switch {
	case err != nil:
		return "nobody"
	case ref == FromConductor:
		return "the conductor, since nobody else names it"
	case !agents:
		return "instance_info"
	case named:
		return "driver_info"
	}
	return "this edge's configuration, for cpu_arch " + n.CPUArch
}
