// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// The fields that are asked for. Without a list Ironic shows all it has, some kB for each node.
const (
	portFields      = "address,node_uuid,pxe_enabled"
	portgroupFields = "address,node_uuid"
	nodeFields      = "uuid,name,driver,provision_state,boot_interface,deploy_interface,inspect_interface,deploy_step," +
		"properties,driver_info,instance_info,driver_internal_info"
	targetFields    = "uuid,volume_type,boot_index,properties"
	connectorFields = "uuid,type,connector_id"
)

// NodeByMAC returns the node whose port, or else portgroup, has the address, which must be in the form of ipxe.ParseMAC.
// It takes two calls, three for a portgroup. The error is an *Error, or that of ctx when ctx was cancelled.
func (c *Client) NodeByMAC(ctx context.Context, mac string) (*ipxe.Node, error) {
	op := "find the port with address " + mac
	body, err := c.get(ctx, op, "ports?address="+url.QueryEscape(mac)+"&fields="+portFields)
	if err != nil {
		return nil, err
	}
	uuid, port, err := translatePorts(op, "ports", mac, body)
	if errors.Is(err, ErrNoNode) {
		op = "find the portgroup with address " + mac
		if body, err = c.get(ctx, op, "portgroups?address="+url.QueryEscape(mac)+"&fields="+portgroupFields); err != nil {
			return nil, err
		}
		uuid, port, err = translatePorts(op, "portgroups", mac, body)
	}
	if err != nil {
		return nil, err
	}
	n, err := c.node(ctx, uuid)
	if err != nil {
		return nil, err
	}
	n.Port = port
	return n, nil
}

// NodeByUUID returns the node with the UUID, in one call. The error is an *Error, or that of ctx when ctx was cancelled.
func (c *Client) NodeByUUID(ctx context.Context, uuid string) (*ipxe.Node, error) {
	// Ironic would take a name, too.
	if _, err := ipxe.ParseUUID(uuid); err != nil {
		return nil, &Error{Kind: ErrNoNode, Op: "find a node", Reason: "not_a_uuid", Err: err}
	}
	return c.node(ctx, strings.ToLower(uuid))
}

// NodeByName returns the node that is called so, in one call. Names are compared as Ironic's database does. The error is an
// *Error, or that of ctx when ctx was cancelled; no node has a name that Ironic would not take.
func (c *Client) NodeByName(ctx context.Context, name string) (*ipxe.Node, error) {
	if !isNodeName(name) {
		return nil, &Error{Kind: ErrNoNode, Op: "find a node", Reason: "not_a_name", Err: errors.New("it is no name of a node")}
	}
	op := "find the node called " + name
	body, err := c.get(ctx, op, "nodes/"+name+"?fields="+nodeFields)
	if err != nil {
		return nil, err
	}
	n, err := translateNamed(op, name, body)
	if err != nil {
		return nil, err
	}
	return c.withVolumes(ctx, n)
}

// isNodeName reports whether Ironic takes a name for a node (ironic/common/utils.py: is_valid_logical_name), and would not
// take it for something else in a path: its own words there are reserved (ironic/api/controllers/v1/node.py:
// get_nodes_controller_reserved_names), and one lists all nodes.
func isNodeName(name string) bool {
	if name == "" || len(name) > 255 || strings.Trim(name, ".") == "" {
		return false
	}
	if _, err := ipxe.ParseUUID(name); err == nil {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~", rune(c)) {
			return false
		}
	}
	switch name {
	case "detail", "maintenance", "management", "states", "validate", "vendor_passthru":
		return false
	}
	return true
}

func (c *Client) node(ctx context.Context, uuid string) (*ipxe.Node, error) {
	op := "find node " + uuid
	body, err := c.get(ctx, op, "nodes/"+uuid+"?fields="+nodeFields)
	if err != nil {
		return nil, err
	}
	n, err := translateNode(op, uuid, body)
	if err != nil {
		return nil, err
	}
	return c.withVolumes(ctx, n)
}

// withVolumes adds what a node boots from, if that is a volume.
func (c *Client) withVolumes(ctx context.Context, n *ipxe.Node) (*ipxe.Node, error) {
	if n.BootVolume == "" {
		return n, nil
	}
	uuid := n.UUID
	op := "find the volume targets of node " + uuid
	body, err := c.get(ctx, op, "volume/targets?node="+uuid+"&fields="+targetFields)
	if err != nil {
		return nil, err
	}
	if n.Volumes, err = translateTargets(op, body); err != nil {
		return nil, err
	}
	op = "find the volume connectors of node " + uuid
	if body, err = c.get(ctx, op, "volume/connectors?node="+uuid+"&fields="+connectorFields); err != nil {
		return nil, err
	}
	if n.Initiator, err = translateConnectors(op, body); err != nil {
		return nil, err
	}
	return n, nil
}
