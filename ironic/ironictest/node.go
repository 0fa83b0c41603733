// SPDX-License-Identifier: Apache-2.0

package ironictest

import (
	"maps"
	"slices"
	"time"
)

// Node is a node with everything that belongs to it. Only UUID is required. Maps hold what JSON can hold.
type Node struct {
	UUID   string
	Name   string
	Driver string // default "ipmi"
	// ProvisionState is in Ironic's spelling, such as "wait call-back". Default: "available".
	ProvisionState string
	// ProvisionUpdatedAt is since when the node is in that state. Default: when the server got it; none for one in enroll.
	ProvisionUpdatedAt time.Time

	BootInterface    string // default "ipxe"
	DeployInterface  string // default "direct"
	InspectInterface string // default "agent"

	ConductorGroup string
	Shard          string
	// DeployStep is the name of the deploy step under way.
	DeployStep string

	Properties         map[string]any
	DriverInfo         map[string]any
	InstanceInfo       map[string]any
	DriverInternalInfo map[string]any
	Extra              map[string]any

	Ports      []Port
	Portgroups []Portgroup
	Volumes    []VolumeTarget
	Connectors []VolumeConnector

	changed    time.Time // updated_at; zero for a node that was enrolled and not changed
	token      string    // of the agent; empty until the first lookup
	heartbeats int
}

// Port is a network port of a node. A UUID that is empty is made from the address.
type Port struct {
	UUID        string
	Address     string // lower case, with colons
	PXEDisabled bool   // the reverse of pxe_enabled
	// PortgroupUUID is the portgroup that the port is a member of.
	PortgroupUUID string
	Extra         map[string]any
}

// Portgroup is a bond of ports. A UUID that is empty is made from the address.
type Portgroup struct {
	UUID    string
	Name    string
	Address string
}

// VolumeTarget is a remote volume.
type VolumeTarget struct {
	UUID       string
	Type       string // such as "iscsi"
	VolumeID   string
	BootIndex  int
	Properties map[string]any
}

// VolumeConnector is an initiator of the node.
type VolumeConnector struct {
	UUID        string
	Type        string // such as "iqn"
	ConnectorID string
}

// completed fills in the defaults. Ironic has at most one port with an address, which is what the UUIDs rely on.
func (n Node) completed() *Node {
	setDefault(&n.Driver, "ipmi")
	setDefault(&n.ProvisionState, "available")
	setDefault(&n.BootInterface, "ipxe")
	setDefault(&n.DeployInterface, "direct")
	setDefault(&n.InspectInterface, "agent")
	n.Ports, n.Portgroups = slices.Clone(n.Ports), slices.Clone(n.Portgroups)
	n.Volumes, n.Connectors = slices.Clone(n.Volumes), slices.Clone(n.Connectors)
	for i := range n.Ports {
		setDefault(&n.Ports[i].UUID, addressUUID(n.Ports[i].Address, "9011"))
	}
	for i := range n.Portgroups {
		setDefault(&n.Portgroups[i].UUID, addressUUID(n.Portgroups[i].Address, "9012"))
	}
	if n.ProvisionUpdatedAt.IsZero() && n.ProvisionState != "enroll" {
		n.ProvisionUpdatedAt = time.Now()
		if n.changed.IsZero() {
			n.changed = n.ProvisionUpdatedAt
		}
	}
	return &n
}

// clone copies what a caller may change in place. The values in the maps stay shared.
func (n *Node) clone() Node {
	c := *n
	for _, m := range []*map[string]any{&c.Properties, &c.DriverInfo, &c.InstanceInfo, &c.DriverInternalInfo, &c.Extra} {
		*m = maps.Clone(*m)
	}
	c.Ports, c.Portgroups = slices.Clone(c.Ports), slices.Clone(c.Portgroups)
	c.Volumes, c.Connectors = slices.Clone(c.Volumes), slices.Clone(c.Connectors)
	return c
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// addressUUID makes an identifier of an address, which has twelve digits, as many as the last field of a UUID.
func addressUUID(address, kind string) string {
	digits := make([]byte, 0, 12)
	for i := 0; i < len(address) && len(digits) < 12; i++ {
		if address[i] != ':' {
			digits = append(digits, address[i])
		}
	}
	for len(digits) < 12 {
		digits = append(digits, '0')
	}
	return "00000000-0000-4000-" + kind + "-" + string(digits)
}
