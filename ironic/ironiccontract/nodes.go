// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"maps"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// What the nodes are called by; the names say what is special.
const (
	plainUUID    = "0c0a7e57-0000-4000-8000-00000000000a" // its hexadecimal letters have a case
	bondUUID     = "0c0a7e57-0000-4000-8000-000000000002"
	volumeUUID   = "0c0a7e57-0000-4000-8000-000000000003"
	enrolledUUID = "0c0a7e57-0000-4000-8000-000000000004"
	agentUUID    = "0c0a7e57-0000-4000-8000-000000000005"
	inspectUUID  = "0c0a7e57-0000-4000-8000-000000000006"
	nobodyUUID   = "0c0a7e57-0000-4000-8000-0000000000ff"

	portgroupUUID = "0c0a7e57-0000-4000-8000-000000000102"
	target0UUID   = "0c0a7e57-0000-4000-8000-000000000103"
	target1UUID   = "0c0a7e57-0000-4000-8000-000000000203"
	connectorUUID = "0c0a7e57-0000-4000-8000-000000000303"

	plainMAC     = "52:54:00:c0:a7:0a"
	disabledMAC  = "52:54:00:c0:a7:1a" // a port that is not for booting
	memberMAC    = "52:54:00:c0:a7:02"
	portgroupMAC = "52:54:00:c0:a7:b2"
	volumeMAC    = "52:54:00:c0:a7:03"
	enrolledMAC  = "52:54:00:c0:a7:04"
	agentMAC     = "52:54:00:c0:a7:05"
	inspectMAC   = "52:54:00:c0:a7:06"
	nobodyMAC    = "52:54:00:c0:a7:ff"

	initiatorIQN = "iqn.2026-01.test.contract:initiator"

	evenShard = "contract-even"
	oddShard  = "contract-odd"

	secret = "hunter2"
	mask   = "******"
)

// ConductorGroup is the one that all nodes are in, and so the target's conductor.
const ConductorGroup = "contract"

// nodes describes the nodes of a run.
func (c *contract) nodes() []ironictest.Node {
	agent := map[string]any{"deploy_kernel": c.Images + "/deploy_kernel", "deploy_ramdisk": c.Images + "/deploy_ramdisk"}
	disk := map[string]any{"image_source": c.Images + "/disk.raw", "root_gb": 10}
	properties := map[string]any{"cpu_arch": "x86_64", "memory_mb": "2048", "local_gb": "20"}
	fromVolume := with(properties, "capabilities", "iscsi_boot:true")
	wholeDisk := map[string]any{"is_whole_disk_image": true}
	chap := func(lun int) map[string]any {
		return map[string]any{"target_iqn": "iqn.2026-01.test.contract:target", "target_lun": lun, "target_portal": "192.0.2.7:3260",
			"auth_method": "CHAP", "auth_username": "alice", "auth_password": secret}
	}
	inspection := "inspect wait"
	if c.newest < inspectionMinor { // it would need a service besides Ironic
		inspection = "manageable"
	}
	nodes := []ironictest.Node{
		{UUID: plainUUID, Name: "contract-plain", ProvisionState: "wait call-back", Shard: evenShard, DriverInternalInfo: wholeDisk,
			DriverInfo: with(agent, "kernel_append_params", "nofb console=ttyS0"), InstanceInfo: disk,
			Ports: []ironictest.Port{{Address: plainMAC}, {Address: disabledMAC, PXEDisabled: true}}},
		{UUID: bondUUID, Name: "contract-bond", ProvisionState: "available", Shard: evenShard, DriverInfo: agent,
			Portgroups: []ironictest.Portgroup{{UUID: portgroupUUID, Name: "contract-bond0", Address: portgroupMAC}},
			Ports:      []ironictest.Port{{Address: memberMAC, PortgroupUUID: portgroupUUID}}},
		{UUID: volumeUUID, Name: "contract-volume", ProvisionState: "active", Shard: oddShard, DriverInfo: agent, Properties: fromVolume,
			DriverInternalInfo: map[string]any{"boot_from_volume": target0UUID}, Ports: []ironictest.Port{{Address: volumeMAC}},
			Volumes: []ironictest.VolumeTarget{
				{UUID: target0UUID, Type: "iscsi", VolumeID: "contract-0", Properties: chap(0)},
				{UUID: target1UUID, Type: "iscsi", VolumeID: "contract-1", BootIndex: 1, Properties: chap(1)}},
			Connectors: []ironictest.VolumeConnector{{UUID: connectorUUID, Type: "iqn", ConnectorID: initiatorIQN}}},
		{UUID: enrolledUUID, Name: "contract-enrolled", ProvisionState: "enroll", DriverInfo: map[string]any{
			"ipmi_username": "root", "ipmi_password": secret, "auth_token": secret, "nested": map[string]any{"password": secret, "address": "192.0.2.9"},
			"note": "password=" + secret + " is its password"},
			InstanceInfo: map[string]any{"configdrive": secret, "image_url": "http://192.0.2.9/" + secret, "display_name": "enrolled"},
			Ports:        []ironictest.Port{{Address: enrolledMAC}}},
		{UUID: agentUUID, Name: "contract-agent", ProvisionState: "wait call-back", DriverInternalInfo: wholeDisk,
			DriverInfo: agent, InstanceInfo: disk, Ports: []ironictest.Port{{Address: agentMAC}}},
		{UUID: inspectUUID, Name: "contract-inspect", ProvisionState: inspection, DriverInfo: agent, Ports: []ironictest.Port{{Address: inspectMAC}}},
	}
	for i := range nodes {
		nodes[i].Driver, nodes[i].ConductorGroup = "fake-hardware", ConductorGroup
		if nodes[i].Properties == nil {
			nodes[i].Properties = properties
		}
	}
	return nodes
}

// with returns a copy of a map with one more pair.
func with(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	m[name] = value
	return m
}
