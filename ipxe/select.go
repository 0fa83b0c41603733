// SPDX-License-Identifier: Apache-2.0

package ipxe

// Select is the state table: it says which script a node in its provision state gets, and assembles it.
//
// The error is a *NotBootable when Ironic would have nothing for this node in this state, and a *Refused when there
// would be something but not from these facts: a value that no script line can hold, a secret that has not been given,
// an image that nobody names.
func Select(n *Node, b Boot, o *Options) (Script, error) {
	if !known(n.ProvisionState) {
		return Explain(ReasonUnknownState, n,
			"Its provision state is not one that this release of ironic-edge knows: "+string(n.ProvisionState)+".",
			"Upgrade ironic-edge, or boot this node from its conductor."), nil
	}
	if !bootsByIPXE(n.BootInterface) {
		return Script{}, &NotBootable{ReasonBootInterface, "the boot interface " + n.BootInterface + " does not use iPXE"}
	}
	// Ironic links no file to such a port (pxe_utils._link_mac_pxe_configs); releases before the [neutron]add_all_ports
	// option linked them all.
	if n.Port.PXEDisabled && !o.Compat.before(22) {
		return Script{}, &NotBootable{ReasonPortDisabled, "the port " + n.Port.Address + " has pxe_enabled off"}
	}

	switch n.ProvisionState {
	case Deploying, DeployWait, DeployHold:
		return selectDeployment(n, b, o)

	case Cleaning, CleanWait, CleanHold:
		if n.RamdiskDisabled {
			return Script{}, &NotBootable{ReasonRamdiskDisabled, "its cleaning steps need no agent"}
		}
		return deployScript(n, b, o)

	case Inspecting, InspectWait:
		if !n.InspectionManaged {
			return Script{}, &NotBootable{ReasonInspection, "Ironic does not manage what it boots for its inspection"}
		}
		return inspectScript(n, b, o)

	case Servicing, ServiceWait, ServiceHold:
		if n.RamdiskDisabled {
			return selectInstance(n, b, o)
		}
		return deployScript(n, b, o)

	case Rescuing, RescueWait:
		return rescueScript(n, b, o)

	case Active, Adopting, Unrescuing, ServiceFail:
		return selectInstance(n, b, o)

	// The instance is still there, but Ironic serves nothing for it. The local disk does no harm; an instance that
	// comes over the network waits until the failure has been dealt with.
	case UnrescueFail, AdoptFail, RescueFail:
		if bootsOverNetwork(n) {
			return Script{}, nothingIn(n)
		}
		return localBoot(n, o)

	// The files stay until the instance has been torn down.
	case Deleting:
		if n.DeployInterface == "ramdisk" {
			return ramdiskScript(n, b, o)
		}
		return Script{}, nothingIn(n)
	}
	return Script{}, nothingIn(n)
}

// selectDeployment is the part of the table for a node that is being deployed. A volume comes before all else
// (ironic/drivers/modules/deploy_utils.py: _replace_boot_line).
func selectDeployment(n *Node, b Boot, o *Options) (Script, error) {
	switch {
	case bootsFromISCSI(n):
		return iscsiScript(n, b, o)
	case n.DeployInterface == "ramdisk":
		return ramdiskScript(n, b, o)
	case n.DeployInterface == "anaconda":
		return anacondaScript(n, b, o)
	case n.BootVolume != "":
		return selectInstance(n, b, o)
	case imageWritten(n.DeployStep):
		return localBoot(n, o)
	}
	return deployScript(n, b, o)
}

// imageWritten reports whether a deploy step comes after the one that prepares the instance's boot (priority 60 in
// ironic/drivers/modules/agent.py: prepare_instance_boot, which takes the agent's script away). Those after it are
// ironic/drivers/modules/agent.py: tear_down_agent, agent_base.py: switch_to_tenant_network and boot_instance.
func imageWritten(step string) bool {
	return step == "tear_down_agent" || step == "switch_to_tenant_network" || step == "boot_instance"
}

// selectInstance is the part of the table for a node that boots what was deployed on it
// (ironic/drivers/modules/pxe_base.py: prepare_instance).
func selectInstance(n *Node, b Boot, o *Options) (Script, error) {
	switch {
	case bootsFromISCSI(n):
		return iscsiScript(n, b, o)
	case n.DeployInterface == "ramdisk":
		return ramdiskScript(n, b, o)
	}
	return localBoot(n, o)
}

func localBoot(n *Node, o *Options) (Script, error) {
	if o.NoLocalBoot {
		return Script{}, &NotBootable{ReasonLocalBoot, "it boots from its own disk, and local_boot is off"}
	}
	return Script{Kind: KindWholeDisk, Reason: ReasonState, node: n}, nil
}

func bootsOverNetwork(n *Node) bool {
	return n.DeployInterface == "ramdisk" || n.BootVolume != ""
}

// bootsFromISCSI follows ironic/drivers/modules/deploy_utils.py: is_iscsi_boot. A boot volume that is not among the
// node's targets is no volume, there as here.
func bootsFromISCSI(n *Node) bool {
	boot, ok := n.bootVolume()
	return ok && boot.Type == "iscsi"
}

func (n *Node) bootVolume() (Volume, bool) {
	if n.BootVolume != "" {
		for _, v := range n.Volumes {
			if v.UUID == n.BootVolume {
				return v, true
			}
		}
	}
	return Volume{}, false
}

// bootsByIPXE names the boot interfaces that put iPXE scripts into http_root (ironic/drivers/modules/ipxe.py).
func bootsByIPXE(boot string) bool { return boot == "ipxe" || boot == "http-ipxe" }

// BootsByIPXE reports whether the node's boot interface uses iPXE scripts.
func (n *Node) BootsByIPXE() bool { return bootsByIPXE(n.BootInterface) }

func nothingIn(n *Node) *NotBootable {
	return &NotBootable{ReasonState, "Ironic has nothing to boot for a node in provision state " + string(n.ProvisionState)}
}

func known(s State) bool {
	switch s {
	case Enroll, Verifying, Manageable, Available, Active, DeployWait, Deploying, DeployFail, DeployDone, DeployHold,
		Deleting, Deleted, Cleaning, CleanWait, CleanFail, CleanHold, Error, Rebuild, Inspecting, InspectWait,
		InspectFail, Adopting, AdoptFail, Rescue, RescueFail, RescueWait, Rescuing, UnrescueFail, Unrescuing,
		Service, Servicing, ServiceWait, ServiceFail, ServiceHold:
		return true
	}
	return false
}
