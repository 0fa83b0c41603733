// SPDX-License-Identifier: Apache-2.0

package ipxe

// The labels under which a node's images are served, as path elements below its UUID. They are Ironic's
// (pxe_utils.get_http_url_path_from_label): iPXE names an image after the last element of its URL, and initrd= on the
// kernel command line must be that name.
const (
	DeployKernel  = "deploy_kernel"
	DeployRamdisk = "deploy_ramdisk"
	RescueKernel  = "rescue_kernel"
	RescueRamdisk = "rescue_ramdisk"
	Kernel        = "kernel"
	Ramdisk       = "ramdisk"
	BootISO       = "boot_iso"
	Kickstart     = "ks.cfg"              // only the conductor has it: it holds the agent's token
	Stage2        = "LiveOS/squashfs.img" // where anaconda looks below inst.stage2
)

// FromConductor is what ImageRef returns for an image that nobody names but that the conductor serves.
const FromConductor = "conductor:"

// ImageRef returns the reference behind a node's label. Kernel and ramdisk of the agent are a pair: the node's own
// (driver_info), else that of its architecture, else the configured default, else the conductor's copy
// (ironic/drivers/utils.py: get_agent_kernel_ramdisk). The error is a *Refused.
func ImageRef(n *Node, o *Options, label string) (string, error) {
	pair, names := Images{}, "instance_info names no kernel and ramdisk"
	switch label {
	case DeployKernel, DeployRamdisk:
		pair, names = agentImages(n.Deploy, o.Deploy, n.CPUArch), "no deploy kernel and ramdisk are known: set deploy_kernel and deploy_ramdisk"
	case RescueKernel, RescueRamdisk:
		pair, names = agentImages(n.Rescue, o.Rescue, n.CPUArch), "no rescue kernel and ramdisk are known: set rescue_kernel and rescue_ramdisk"
	case Kernel, Ramdisk:
		pair = n.Instance
	case BootISO:
		pair, names = Images{n.BootISO, n.BootISO}, "instance_info names no boot_iso"
	case Stage2:
		pair, names = Images{n.Stage2, n.Stage2}, "instance_info names no stage2"
	}
	switch {
	case !pair.Complete() && o.ConductorFiles:
		return FromConductor, nil
	case !pair.Complete():
		return "", &Refused{ReasonNoImage, names + ", on the node or in this edge's configuration, or give conductor_http."}
	case label == DeployRamdisk || label == RescueRamdisk || label == Ramdisk:
		return pair.Ramdisk, nil
	}
	return pair.Kernel, nil
}

func agentImages(own Images, byArch map[string]Images, arch string) Images {
	if own.Complete() {
		return own
	}
	return images(byArch, arch)
}

func imageURL(n *Node, b Boot, label string) (string, error) {
	base, err := ParseURL(b.BaseURL)
	if err != nil {
		return "", refuse("the base URL", err)
	}
	uuid, err := ParseUUID(n.UUID)
	if err != nil {
		return "", refuse("the node's uuid", err)
	}
	return base.word + "/" + uuid.word + "/" + label, nil
}
