// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// The rule of this file: a field on which a script depends has the type that Ironic gives it, or the answer is refused
// with the field's name. What a script does not depend on (a name for messages, an architecture that selects nothing) is
// left out when it is odd. Whether a value fits into a script line is not decided here but in package ipxe, where it is
// used.

// answer takes values out of objects and keeps the first error, so that a translation reads as a list of fields.
type answer struct {
	op  string
	err error
}

func (a *answer) fail(err error) {
	if a.err != nil || err == nil {
		return
	}
	var why *unusable
	if errors.As(err, &why) {
		err = &Error{Kind: ErrBadAnswer, Op: a.op, Reason: why.reason, Err: why}
	}
	a.err = err
}

func (a *answer) missing(field string) {
	a.fail(&unusable{"missing_field", field + " is missing"})
}

func (a *answer) text(o object, field string) string {
	s, err := o.text(field)
	a.fail(err)
	return s
}

func (a *answer) flag(o object, field string) bool {
	b, err := o.flag(field)
	a.fail(err)
	return b
}

func (a *answer) object(o object, field string) object {
	inner, err := o.object(field)
	a.fail(err)
	return inner
}

func (a *answer) uuid(o object, field string) string {
	s := a.text(o, field)
	if s == "" {
		a.missing(field)
	} else if _, err := ipxe.ParseUUID(s); err != nil {
		a.fail(wrongType(field, "a UUID"))
	}
	return s
}

// list returns the elements of a collection's answer.
func (a *answer) list(body []byte, name string) []object {
	o, err := parseObject(body)
	if err != nil {
		a.fail(err)
		return nil
	}
	list, err := o.objects(name)
	a.fail(err)
	return list
}

// translatePorts returns the UUID of the node whose port or portgroup has the address. An address is unique in
// Ironic's schema; two of them, or another than the one asked for, mean that something on the way is broken, and that the
// script would be for a wrong machine.
func translatePorts(op, collection, mac string, body []byte) (string, ipxe.Port, error) {
	a := answer{op: op}
	ports := a.list(body, collection)
	if a.err != nil {
		return "", ipxe.Port{}, a.err
	}
	switch len(ports) {
	case 0:
		return "", ipxe.Port{}, &Error{Kind: ErrNoNode, Op: op, Reason: "no_port"}
	case 1:
	default:
		return "", ipxe.Port{}, badAnswer(op, "two_ports", strconv.Itoa(len(ports))+" have this address")
	}
	port := ports[0]
	if address := a.text(port, "address"); a.err == nil && !strings.EqualFold(address, mac) {
		a.fail(&unusable{"wrong_port", "the answer is about another address"})
	}
	uuid := a.uuid(port, "node_uuid")
	p := a.port(collection, mac, port)
	return strings.ToLower(uuid), p, a.err
}

// port translates a port or portgroup with that address.
func (a *answer) port(collection, mac string, o object) ipxe.Port {
	p := ipxe.Port{Address: mac}
	if collection == "ports" {
		if _, ok := o["pxe_enabled"]; !ok {
			a.missing("pxe_enabled")
		}
		// null is not enabled (ironic/common/pxe_utils.py: _link_mac_pxe_configs).
		p.PXEDisabled = !a.flag(o, "pxe_enabled")
	}
	return p
}

// timeIn returns the time under a name; one that is absent or odd is zero: no script depends on it.
func timeIn(o object, field string) time.Time {
	text, _ := o.text(field)
	t, _ := time.Parse(time.RFC3339, text)
	return t
}

// translateNode returns the node, without its port and volumes.
func translateNode(op, uuid string, body []byte) (*ipxe.Node, error) {
	a := answer{op: op}
	o, err := parseObject(body)
	if err != nil {
		a.fail(err)
		return nil, a.err
	}
	return a.node(o, uuid)
}

// translateNamed is translateNode for a node that was asked for by its name.
func translateNamed(op, name string, body []byte) (*ipxe.Node, error) {
	a := answer{op: op}
	o, err := parseObject(body)
	if err != nil {
		a.fail(err)
		return nil, a.err
	}
	uuid := a.uuid(o, "uuid")
	if found := a.text(o, "name"); a.err == nil && !strings.EqualFold(found, name) {
		a.fail(&unusable{"wrong_node", "the answer is about another node"})
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.node(o, strings.ToLower(uuid))
}

// node translates a node, which must be the one with that UUID.
func (a *answer) node(o object, uuid string) (*ipxe.Node, error) {
	for _, field := range strings.Split(nodeFields, ",") {
		if _, ok := o[field]; !ok && field != "name" {
			a.missing(field)
		}
	}
	if found := a.uuid(o, "uuid"); a.err == nil && !strings.EqualFold(found, uuid) {
		a.fail(&unusable{"wrong_node", "the answer is about another node"})
	}
	n := &ipxe.Node{
		UUID:             uuid,
		Driver:           a.text(o, "driver"),
		ProvisionState:   ipxe.State(a.text(o, "provision_state")),
		BootInterface:    a.text(o, "boot_interface"),
		DeployInterface:  a.text(o, "deploy_interface"),
		InspectInterface: a.text(o, "inspect_interface"),
		DeployStep:       a.text(a.object(o, "deploy_step"), "step"),
	}
	if n.ProvisionState == "" {
		a.missing("provision_state")
	}
	n.Name, _ = o.text("name")
	n.CPUArch, _ = a.object(o, "properties").text("cpu_arch")

	a.driverInfo(n, a.object(o, "driver_info"))
	a.instanceInfo(n, a.object(o, "instance_info"))
	a.internalInfo(n, a.object(o, "driver_internal_info"), a.object(o, "instance_info"))
	if a.err != nil {
		return nil, a.err
	}
	return n, nil
}

// visible refuses an object that Ironic shows to users with another role only (ironic/api/controllers/v1/node.py:
// node_sanitize): the node would look as if it had no images of its own, or no boot volume.
func (a *answer) visible(o object, field string) {
	if s, err := o.text("content"); err == nil && len(o) == 1 && strings.HasPrefix(s, "** Redacted") {
		a.fail(&unusable{"redacted", "Ironic hides " + field + "; give our user a role with the policy baremetal:node:get:" + field})
	}
}

func (a *answer) driverInfo(n *ipxe.Node, driver object) {
	a.visible(driver, "driver_info")
	n.Deploy = ipxe.Images{Kernel: a.text(driver, "deploy_kernel"), Ramdisk: a.text(driver, "deploy_ramdisk")}
	n.Rescue = ipxe.Images{Kernel: a.text(driver, "rescue_kernel"), Ramdisk: a.text(driver, "rescue_ramdisk")}
	a.kernelAppendParams(n, driver)
}

// instanceInfo comes after driverInfo: its kernel_append_params win (ironic/drivers/utils.py: get_kernel_append_params).
func (a *answer) instanceInfo(n *ipxe.Node, instance object) {
	n.Instance = ipxe.Images{Kernel: a.text(instance, "kernel"), Ramdisk: a.text(instance, "ramdisk")}
	n.BootISO = a.text(instance, "boot_iso")
	n.RamdiskKernelArguments = a.text(instance, "ramdisk_kernel_arguments")
	a.kernelAppendParams(n, instance)
}

func (a *answer) kernelAppendParams(n *ipxe.Node, o object) {
	const field = "kernel_append_params"
	if !o.absent(field) {
		params := a.text(o, field)
		n.KernelAppendParams = &params
	}
}

func (a *answer) internalInfo(n *ipxe.Node, internal, instance object) {
	a.visible(internal, "driver_internal_info")
	if n.Stage2 = a.text(internal, "stage2"); n.Stage2 == "" {
		n.Stage2 = a.text(instance, "stage2")
	}
	if a.flag(internal, "is_source_a_path") {
		n.RepositoryURL = a.text(instance, "image_source")
	}
	n.WholeDiskImage = a.flag(internal, "is_whole_disk_image")
	n.InspectionManaged = a.flag(internal, "inspector_manage_boot")
	n.BootVolume = a.text(internal, "boot_from_volume")
	// ironic/drivers/modules/deploy_utils.py: is_ramdisk_disabled. A flag of an earlier cleaning stays where it is.
	switch n.ProvisionState {
	case ipxe.Cleaning, ipxe.CleanWait:
		n.RamdiskDisabled = a.flag(internal, "cleaning_disable_ramdisk")
	case ipxe.Servicing, ipxe.ServiceWait:
		n.RamdiskDisabled = a.flag(internal, "service_disable_ramdisk")
	}
}

// translateTargets returns a node's volumes in Ironic's order. What is not iSCSI keeps only what tells it from the others.
func translateTargets(op string, body []byte) ([]ipxe.Volume, error) {
	a := answer{op: op}
	var volumes []ipxe.Volume
	for _, target := range a.list(body, "targets") {
		volumes = append(volumes, a.target(target))
	}
	return volumes, a.err
}

func (a *answer) target(o object) ipxe.Volume {
	v := ipxe.Volume{UUID: a.uuid(o, "uuid"), Type: a.text(o, "volume_type")}
	v.BootIndex = a.number(o, "boot_index")
	if o.absent("boot_index") {
		a.missing("boot_index")
	}
	if strings.Contains(v.Type, "iscsi") {
		a.iscsi(&v, a.object(o, "properties"))
	}
	return v
}

// iscsi reads a target's properties like ironic/common/pxe_utils.py: get_volume_pxe_options. Each may be named in the
// singular or the plural, and be a list, of which the first element counts; only portals may be several.
func (a *answer) iscsi(v *ipxe.Volume, properties object) {
	if !properties.absent("redacted_contents") {
		v.Redacted = true // ironic/api/controllers/v1/volume_target.py: _redact_target_properties
		return
	}
	v.IQN = first(a.texts(properties, "target_iqn", "target_iqns"))
	v.Username = first(a.texts(properties, "auth_username"))
	if v.Portals = a.texts(properties, "target_portals"); len(v.Portals) == 0 {
		v.Portals = a.texts(properties, "target_portal")
		v.Portals = v.Portals[:min(len(v.Portals), 1)]
	}
	for _, field := range []string{"target_lun", "target_luns"} {
		if !properties.absent(field) {
			if v.LUN = a.number(properties, field); v.LUN < 0 {
				a.fail(wrongType(field, "a logical unit's number"))
			}
			return
		}
	}
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

// texts returns the strings under the first of the fields that has any but empty ones.
func (a *answer) texts(o object, fields ...string) []string {
	for _, field := range fields {
		texts, err := o.texts(field)
		a.fail(err)
		if texts = slices.DeleteFunc(texts, func(s string) bool { return s == "" }); len(texts) > 0 {
			return texts
		}
	}
	return nil
}

// number returns the number under a field, written as such or as a string of digits, or that at the head of a list;
// one that is absent or empty is 0.
func (a *answer) number(o object, field string) int {
	if o.absent(field) {
		return 0
	}
	raw := o[field]
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		if len(list) == 0 {
			return 0
		}
		raw = list[0]
	}
	digits := string(raw)
	if s, err := textIn(field, raw); err == nil {
		if s == "" {
			return 0
		}
		digits = s
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		a.fail(wrongType(field, "a number"))
	}
	return int(n)
}

// translateConnectors returns the initiator's name: the last connector of type iqn, as in Ironic.
func translateConnectors(op string, body []byte) (string, error) {
	a := answer{op: op}
	var initiator string
	for _, connector := range a.list(body, "connectors") {
		a.connector(&initiator, connector)
	}
	return initiator, a.err
}

func (a *answer) connector(initiator *string, o object) {
	if a.text(o, "type") == "iqn" {
		*initiator = a.text(o, "connector_id")
	}
}
