// SPDX-License-Identifier: Apache-2.0

package ipxe

// Node holds what Ironic's API says about one node, as far as a boot script depends on it. It carries no secret:
// what the API masks stays masked, and is asked for when a script needs it (see Secrets).
type Node struct {
	UUID           string `json:"uuid"`
	Name           string `json:"name,omitempty"`
	Driver         string `json:"driver,omitempty"`
	ProvisionState State  `json:"provision_state"`

	BootInterface    string `json:"boot_interface,omitempty"`
	DeployInterface  string `json:"deploy_interface,omitempty"`
	InspectInterface string `json:"inspect_interface,omitempty"`

	// Port is the port (or portgroup) by whose address the node was found; zero when it was asked for by UUID.
	Port Port `json:"port,omitzero"`

	// CPUArch is properties.cpu_arch, which selects among images by architecture.
	CPUArch string `json:"cpu_arch,omitempty"`

	// DeployStep is the name of the deploy step under way (deploy_step.step), empty when there is none.
	DeployStep string `json:"deploy_step,omitempty"`

	// Deploy and Rescue are the agent's images named in driver_info; Instance those of a ramdisk or anaconda
	// deployment (instance_info.kernel and .ramdisk).
	Deploy   Images `json:"deploy,omitzero"`
	Rescue   Images `json:"rescue,omitzero"`
	Instance Images `json:"instance,omitzero"`

	// BootISO is instance_info.boot_iso, which a ramdisk deployment boots instead of kernel and ramdisk.
	BootISO string `json:"boot_iso,omitempty"`
	// Stage2 is the anaconda installer's image: driver_internal_info.stage2, else instance_info.stage2.
	Stage2 string `json:"stage2,omitempty"`
	// RepositoryURL is instance_info.image_source when that is a directory to install from
	// (driver_internal_info.is_source_a_path).
	RepositoryURL string `json:"repository_url,omitempty"`
	// WholeDiskImage is driver_internal_info.is_whole_disk_image.
	WholeDiskImage bool `json:"whole_disk_image,omitempty"`

	// KernelAppendParams is instance_info.kernel_append_params, else driver_info.kernel_append_params, else nil.
	// An empty string is a value: it replaces the configured parameters with none.
	KernelAppendParams *string `json:"kernel_append_params,omitempty"`
	// RamdiskKernelArguments is instance_info.ramdisk_kernel_arguments, which boot_ramdisk appends.
	RamdiskKernelArguments string `json:"ramdisk_kernel_arguments,omitempty"`

	// RamdiskDisabled says that the cleaning or service under way needs no agent
	// (driver_internal_info.cleaning_disable_ramdisk while cleaning, .service_disable_ramdisk while in service).
	RamdiskDisabled bool `json:"ramdisk_disabled,omitempty"`
	// InspectionManaged is driver_internal_info.inspector_manage_boot: Ironic, not the operator's DHCP server,
	// sees to what the node boots for its inspection.
	InspectionManaged bool `json:"inspection_managed,omitempty"`

	// BootVolume is driver_internal_info.boot_from_volume, the UUID of the volume target that the node boots from.
	BootVolume string `json:"boot_volume,omitempty"`
	// Volumes are the node's volume targets and Initiator the connector of type iqn (the last one, as in Ironic).
	// Both are asked for only when BootVolume is set.
	Volumes   []Volume `json:"volumes,omitempty"`
	Initiator string   `json:"initiator,omitempty"`
}

// Port is the network port by which a node asked.
type Port struct {
	// Address is the port's MAC address in Ironic's form: lower case, with colons.
	Address string `json:"address,omitempty"`
	// PXEDisabled is the reverse of pxe_enabled, so that the zero Port is one that boots.
	PXEDisabled bool `json:"pxe_disabled,omitempty"`
}

// Images is a kernel and its ramdisk, as references: an http(s) or file URL, a Glance id, an OCI reference.
type Images struct {
	Kernel  string `json:"kernel,omitempty"`
	Ramdisk string `json:"ramdisk,omitempty"`
}

// Complete reports whether both halves are there. Ironic never mixes halves of different origins.
func (i Images) Complete() bool { return i.Kernel != "" && i.Ramdisk != "" }

// Volume is a volume target of the node (ironic/objects/volume_target.py).
type Volume struct {
	UUID      string `json:"uuid"`
	Type      string `json:"type"` // "iscsi", "fibre_channel"
	BootIndex int    `json:"boot_index"`
	// Portals are host:port pairs; several are paths to the same volume.
	Portals []string `json:"portals,omitempty"`
	IQN     string   `json:"iqn,omitempty"`
	LUN     int      `json:"lun"`
	// Username is the CHAP user, empty without CHAP. The API never shows the password.
	Username string `json:"username,omitempty"`
	// Redacted says that the API hid the volume's properties from us; such a volume cannot be attached.
	Redacted bool `json:"redacted,omitempty"`
}
