// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// reach is how long a node may take to its provision state; it takes seconds on an idle machine.
const reach = 90 * time.Second

// ways are the verbs that bring a new node into a state, with the state in which each ends.
var ways = map[string][][2]string{
	"enroll":         {},
	"manageable":     {{"manage", "manageable"}},
	"available":      {{"manage", "manageable"}, {"provide", "available"}},
	"wait call-back": {{"manage", "manageable"}, {"provide", "available"}, {"active", "wait call-back"}},
	"active":         {{"manage", "manageable"}, {"provide", "available"}, {"active", "active"}},
	"inspect wait":   {{"manage", "manageable"}, {"inspect", "inspect wait"}},
}

// operator makes nodes by Ironic's API.
type operator struct {
	url       string
	authorize func(*http.Request)
}

func (o *operator) do(ctx context.Context, method, path string, body, to any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, o.url+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	r.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
	r.Header.Set("Content-Type", "application/json")
	o.authorize(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, got)
	}
	if to == nil {
		return nil
	}
	return json.Unmarshal(got, to)
}

// create is ironiccontract.Target.Create.
func (o *operator) create(ctx context.Context, n ironictest.Node) error {
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	if err := o.post(ctx, n); err != nil {
		return fmt.Errorf("create %s: %w", n.Name, err)
	}
	way, ok := ways[n.ProvisionState]
	if !ok {
		return fmt.Errorf("no way to the state %q", n.ProvisionState)
	}
	for _, step := range way {
		if err := o.move(ctx, n.UUID, step[0], step[1]); err != nil {
			return fmt.Errorf("%s %s: %w", step[0], n.Name, err)
		}
	}
	return nil
}

type object = map[string]any

// post makes what belongs to the node, in the order in which one needs the other.
func (o *operator) post(ctx context.Context, n ironictest.Node) error {
	instance := maps.Clone(n.InstanceInfo)
	if instance["image_source"] != nil {
		maps.Copy(instance, object{"image_os_hash_algo": "sha256", "image_os_hash_value": realironic.ImageSHA256,
			"image_disk_format": "raw", "image_type": "whole-disk"})
	}
	storage := "noop"
	if len(n.Volumes) > 0 {
		storage = "external"
	}
	type post struct {
		path string
		body object
	}
	node := object{"uuid": n.UUID, "name": n.Name, "driver": n.Driver, "conductor_group": n.ConductorGroup, "automated_clean": false,
		"boot_interface": "ipxe", "deploy_interface": "direct", "storage_interface": storage, "properties": n.Properties, "driver_info": n.DriverInfo}
	if instance != nil {
		node["instance_info"] = instance
	}
	if n.Shard != "" {
		node["shard"] = n.Shard
	}
	posts := []post{{"/v1/nodes", node}}
	for _, g := range n.Portgroups {
		posts = append(posts, post{"/v1/portgroups", object{"uuid": g.UUID, "node_uuid": n.UUID, "name": g.Name, "address": g.Address}})
	}
	for _, p := range n.Ports {
		body := object{"node_uuid": n.UUID, "address": p.Address, "pxe_enabled": !p.PXEDisabled}
		if p.PortgroupUUID != "" {
			body["portgroup_uuid"] = p.PortgroupUUID
		}
		posts = append(posts, post{"/v1/ports", body})
	}
	for _, v := range n.Volumes {
		posts = append(posts, post{"/v1/volume/targets", object{"uuid": v.UUID, "node_uuid": n.UUID, "volume_type": v.Type,
			"boot_index": v.BootIndex, "volume_id": v.VolumeID, "properties": v.Properties}})
	}
	for _, v := range n.Connectors {
		posts = append(posts, post{"/v1/volume/connectors", object{"uuid": v.UUID, "node_uuid": n.UUID, "type": v.Type, "connector_id": v.ConnectorID}})
	}
	for _, p := range posts {
		if err := o.do(ctx, http.MethodPost, p.path, p.body, nil); err != nil {
			return err
		}
	}
	return nil
}

// move asks for a transition and waits until the conductor is done with it: nothing holds the node's lock.
func (o *operator) move(ctx context.Context, uuid, verb, state string) error {
	if err := o.do(ctx, http.MethodPut, "/v1/nodes/"+uuid+"/states/provision", object{"target": verb}, nil); err != nil {
		return err
	}
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for {
		var n struct {
			State       string  `json:"provision_state"`
			Reservation *string `json:"reservation"`
			LastError   *string `json:"last_error"`
		}
		if err := o.do(ctx, http.MethodGet, "/v1/nodes/"+uuid+"?fields=provision_state,reservation,last_error", nil, &n); err != nil {
			return err
		}
		if n.State == state && n.Reservation == nil {
			return nil
		}
		if n.LastError != nil {
			return fmt.Errorf("state %q instead of %q: %s", n.State, state, *n.LastError)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("state %q instead of %q: %w", n.State, state, ctx.Err())
		}
	}
}
