// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Record is what is known of one node: what an API reader sees at the API's highest version, and what the conductor
// serves for it.
type Record struct {
	Case         string   `json:"case"`
	Release      Release  `json:"release"`
	Options      Options  `json:"options"`
	HTTPURL      string   `json:"http_url"`
	APIURL       string   `json:"api_url"`
	State        string   `json:"state"`
	MACs         []string `json:"macs"`
	PortgroupMAC string   `json:"portgroup_mac,omitempty"`

	Node       json.RawMessage `json:"node"`
	Ports      json.RawMessage `json:"ports"`
	Portgroups json.RawMessage `json:"portgroups"`
	Targets    json.RawMessage `json:"volume_targets"`
	Connectors json.RawMessage `json:"volume_connectors"`

	// Scripts are the files pxelinux.cfg/<MAC with dashes> below http_root by MAC with colons; null where there is none.
	Scripts map[string]*string `json:"scripts"`
	Config  *string            `json:"config"` // <uuid>/config
	Files   []string           `json:"files"`  // all names below <uuid>/
}

// Capture reads a node back.
func Capture(ctx context.Context, i *Ironic, n *Node) (Record, error) {
	r := Record{Case: n.Case, Release: i.Release, Options: i.Options, HTTPURL: i.HTTPURL, APIURL: i.URL,
		MACs: n.MACs, PortgroupMAC: n.PortgroupMAC, Scripts: map[string]*string{}}
	for _, q := range []struct {
		path, list string
		to         *json.RawMessage
	}{
		{"/v1/nodes/" + n.UUID, "", &r.Node},
		{"/v1/ports/detail?node=" + n.UUID, "ports", &r.Ports},
		{"/v1/portgroups/detail?node=" + n.UUID, "portgroups", &r.Portgroups},
		{"/v1/volume/targets?detail=true&node=" + n.UUID, "targets", &r.Targets},
		{"/v1/volume/connectors?detail=true&node=" + n.UUID, "connectors", &r.Connectors},
	} {
		if q.list == "" {
			if err := i.API.get(ctx, q.path, q.to); err != nil {
				return r, fmt.Errorf("capture node %s: %w", n.Case, err)
			}
			continue
		}
		var answer map[string]json.RawMessage
		if err := i.API.get(ctx, q.path, &answer); err != nil {
			return r, fmt.Errorf("capture node %s: %w", n.Case, err)
		}
		*q.to = answer[q.list]
	}
	var s state
	if err := json.Unmarshal(r.Node, &s); err != nil {
		return r, err
	}
	r.State = s.Provision
	macs := slices.Clone(n.MACs)
	if n.PortgroupMAC != "" {
		macs = append(macs, n.PortgroupMAC)
	}
	var err error
	for _, mac := range macs {
		if r.Scripts[mac], err = i.served(filepath.Join("pxelinux.cfg", strings.ReplaceAll(mac, ":", "-"))); err != nil {
			return r, err
		}
	}
	if r.Config, err = i.served(filepath.Join(n.UUID, "config")); err != nil {
		return r, err
	}
	root := filepath.Join(i.HTTPRoot, n.UUID)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			r.Files = append(r.Files, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

// Bootstrap is the conductor's boot.ipxe.
func (i *Ironic) Bootstrap() (string, error) {
	b, err := os.ReadFile(filepath.Join(i.HTTPRoot, "boot.ipxe"))
	return string(b), err
}

// served is a file below http_root, nil when there is none.
func (i *Ironic) served(name string) (*string, error) {
	b, err := os.ReadFile(filepath.Join(i.HTTPRoot, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := string(b)
	return &s, nil
}
