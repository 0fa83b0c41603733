// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// Spec is what a node is made of. Values that start with image:, endless: or missing: become URLs of the stubs (Stubs.Image,
// Stubs.Endless, Stubs.Missing), each with a name of the node's own.
type Spec struct {
	Boot         string // boot_interface; empty: ipxe
	Deploy       string // deploy_interface; empty: direct
	Storage      string // storage_interface; empty: noop
	Arch         string // properties.cpu_arch; empty: x86_64
	Clean        bool   // automated_clean
	DriverInfo   map[string]any
	InstanceInfo map[string]any
	Capabilities string // properties.capabilities
	Ports        []Port // nil: one plain port
	Portgroup    bool   // the ports are members of one
	Connectors   []map[string]any
	Targets      []map[string]any
}

// Port is one NIC.
type Port struct {
	PXEDisabled bool
	Extra       map[string]any
}

// Node is a node of the fleet.
type Node struct {
	Case         string
	UUID         string
	MACs         []string // of its ports
	PortgroupMAC string   // empty without one
	ironic       *Ironic
	api          *API
	stubs        *Stubs
}

// noPorts is Spec.Ports of a node that has none.
var noPorts = []Port{}

// identity makes UUIDs and MACs that are the same in each run and for each release, so that two captures can be compared.
func identity(name string) (uuid string, mac func(i int) string) {
	h := sha256.Sum256([]byte(name))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	uuid = fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
	return uuid, func(i int) string {
		return fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", h[16], h[17], h[18], i)
	}
}

// create registers the node with its ports and volumes. The node is in state enroll afterwards.
func create(ctx context.Context, i *Ironic, name string, spec Spec) (*Node, error) {
	n := &Node{Case: name, ironic: i, api: i.API, stubs: i.Stubs}
	uuid, mac := identity(name)
	n.UUID = uuid
	body := map[string]any{
		"uuid": uuid, "name": name, "driver": "fake-hardware",
		"boot_interface": or(spec.Boot, "ipxe"), "deploy_interface": or(spec.Deploy, "direct"),
		"rescue_interface": "agent", "storage_interface": or(spec.Storage, "noop"),
		"automated_clean": spec.Clean,
		"properties":      map[string]any{"cpu_arch": or(spec.Arch, "x86_64"), "memory_mb": "2048", "local_gb": "20", "capabilities": spec.Capabilities},
		"driver_info":     n.expand(spec.DriverInfo), "instance_info": n.expand(spec.InstanceInfo),
	}
	if err := n.api.do(ctx, http.MethodPost, "/v1/nodes", body, nil); err != nil {
		return n, err
	}
	ports := spec.Ports
	if ports == nil {
		ports = []Port{{}}
	}
	portgroup := any(nil)
	if spec.Portgroup {
		n.PortgroupMAC = mac(0xff)
		var made struct{ UUID string }
		body := map[string]any{"node_uuid": uuid, "address": n.PortgroupMAC, "standalone_ports_supported": true}
		if err := n.api.do(ctx, http.MethodPost, "/v1/portgroups", body, &made); err != nil {
			return n, err
		}
		portgroup = made.UUID
	}
	for j, p := range ports {
		n.MACs = append(n.MACs, mac(j))
		body := map[string]any{"node_uuid": uuid, "address": mac(j), "pxe_enabled": !p.PXEDisabled, "extra": p.Extra, "portgroup_uuid": portgroup}
		if p.Extra == nil {
			delete(body, "extra")
		}
		if portgroup == nil {
			delete(body, "portgroup_uuid")
		}
		if err := n.api.do(ctx, http.MethodPost, "/v1/ports", body, nil); err != nil {
			return n, err
		}
	}
	for kind, list := range map[string][]map[string]any{"connectors": spec.Connectors, "targets": spec.Targets} {
		for j, v := range list {
			v = maps.Clone(v)
			v["node_uuid"] = uuid
			if id, ok := v["connector_id"]; ok {
				v["connector_id"] = fmt.Sprint(id, "-", name) // unique in an Ironic
			}
			v["uuid"], _ = identity(fmt.Sprint(name, kind, j))
			if err := n.api.do(ctx, http.MethodPost, "/v1/volume/"+kind, v, nil); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// expand replaces the abbreviations of Spec.
func (n *Node) expand(info map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range info {
		out[k] = v
		s, ok := v.(string)
		if !ok {
			continue
		}
		kind, name, _ := strings.Cut(s, ":")
		switch kind {
		case "image":
			out[k] = n.stubs.Image(n.Case + "/" + name)
		case "endless":
			out[k] = n.stubs.Endless(n.Case + "/" + name)
		case "missing":
			out[k] = n.stubs.Missing(n.Case + "/" + name)
		}
	}
	return out
}

// state is what the waits look at.
type state struct {
	Provision   string         `json:"provision_state"`
	Target      *string        `json:"target_provision_state"`
	LastError   *string        `json:"last_error"`
	Reservation *string        `json:"reservation"`
	DeployStep  map[string]any `json:"deploy_step"`
}

func (s state) String() string {
	last := "none"
	if s.LastError != nil {
		last = *s.LastError
	}
	return fmt.Sprintf("state %q, deploy step %v, last_error: %s", s.Provision, s.DeployStep["step"], last)
}

func (n *Node) state(ctx context.Context) (state, error) {
	var s state
	err := n.api.get(ctx, "/v1/nodes/"+n.UUID+"?fields=provision_state,target_provision_state,last_error,reservation,deploy_step", &s)
	return s, err
}

var errUnexpected = errors.New("the node went elsewhere")
