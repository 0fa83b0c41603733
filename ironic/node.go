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
	if n.BootVolume == "" {
		return n, nil
	}
	op = "find the volume targets of node " + uuid
	if body, err = c.get(ctx, op, "volume/targets?node="+uuid+"&fields="+targetFields); err != nil {
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
