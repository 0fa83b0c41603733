// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"fmt"
	"strings"
)

// DemoFleet returns the thirteen nodes of a rack, each in another state or with another kind of deployment: rack17-n01
// with the address 52:54:00:17:00:01 and so on. Their images are below base, an http URL: ipa.kernel, ipa.initramfs,
// rescue.kernel, rescue.initramfs, instance.kernel, instance.initramfs, instance.iso, anaconda.kernel, anaconda.initramfs
// and anaconda.stage2. The last node is in a provision state that no release has.
func DemoFleet(base string) []Node {
	base = strings.TrimSuffix(base, "/")
	agent := object{"deploy_kernel": base + "/ipa.kernel", "deploy_ramdisk": base + "/ipa.initramfs"}
	rescue := object{"deploy_kernel": base + "/ipa.kernel", "deploy_ramdisk": base + "/ipa.initramfs",
		"rescue_kernel": base + "/rescue.kernel", "rescue_ramdisk": base + "/rescue.initramfs"}
	disk := object{"image_source": base + "/instance.qcow2", "root_gb": 10}
	wholeDisk := object{"is_whole_disk_image": true}
	const volume = "6d4c7e01-1700-4000-8000-0000000000f9"

	nodes := []Node{
		{ProvisionState: "deploying", DeployStep: "deploy", InstanceInfo: disk, DriverInternalInfo: wholeDisk},
		{ProvisionState: "wait call-back", DeployStep: "write_image", InstanceInfo: disk, DriverInternalInfo: wholeDisk},
		{ProvisionState: "clean wait"},
		{ProvisionState: "inspect wait", DriverInternalInfo: object{"inspector_manage_boot": true}},
		{ProvisionState: "rescue wait", DriverInfo: rescue, InstanceInfo: disk, DriverInternalInfo: wholeDisk},
		{ProvisionState: "active", InstanceInfo: disk, DriverInternalInfo: wholeDisk},
		{ProvisionState: "active", DeployInterface: "ramdisk", InstanceInfo: object{
			"kernel": base + "/instance.kernel", "ramdisk": base + "/instance.initramfs", "ramdisk_kernel_arguments": "quiet"}},
		{ProvisionState: "active", DeployInterface: "ramdisk", InstanceInfo: object{"boot_iso": base + "/instance.iso"}},
		{ProvisionState: "active", InstanceInfo: disk, DriverInternalInfo: object{"is_whole_disk_image": true, "boot_from_volume": volume},
			Volumes: []VolumeTarget{{UUID: volume, Type: "iscsi", VolumeID: "boot", Properties: object{
				"target_iqn": "iqn.2026-01.test.rack17:n09", "target_lun": 1, "target_portal": "192.0.2.17:3260"}}},
			Connectors: []VolumeConnector{{UUID: "6d4c7e01-1700-4000-8000-0000000000c9", Type: "iqn", ConnectorID: "iqn.2026-01.test.rack17:initiator-n09"}}},
		{ProvisionState: "wait call-back", DeployInterface: "anaconda", InstanceInfo: object{
			"kernel": base + "/anaconda.kernel", "ramdisk": base + "/anaconda.initramfs", "stage2": base + "/anaconda.stage2"}},
		{ProvisionState: "available"},
		{ProvisionState: "enroll", DriverInfo: object{}},
		{ProvisionState: "defragmenting"},
	}
	for i := range nodes {
		n := &nodes[i]
		n.UUID = fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i+1)
		n.Name = fmt.Sprintf("rack17-n%02d", i+1)
		n.ConductorGroup, n.Shard = "rack17", "rack17"
		n.Properties = object{"cpu_arch": "x86_64"}
		if n.DriverInfo == nil {
			n.DriverInfo = agent
		}
		n.Ports = []Port{{Address: fmt.Sprintf("52:54:00:17:00:%02x", i+1)}}
	}
	return nodes
}
