// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

var update = flag.Bool("update", false, "write the wanted translations of the recorded answers anew")

// TestRecorded translates what real Ironic answered. The release stands in the file's name; links are left out.
func TestRecorded(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/recorded/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded answers: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, ".want.json") {
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n := translateRecorded(t, body)
			got, _ := json.MarshalIndent(n, "", " ")
			got = append(got, '\n')
			wantName := strings.TrimSuffix(name, ".json") + ".want.json"
			if *update {
				if err := os.WriteFile(wantName, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantName)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func translateRecorded(t *testing.T, body []byte) *ipxe.Node {
	t.Helper()
	var recorded struct {
		Node  json.RawMessage
		Ports []struct {
			Address string
			UUID    string `json:"node_uuid"`
		}
	}
	if err := json.Unmarshal(body, &recorded); err != nil {
		t.Fatal(err)
	}
	n, err := translateNode("test", recorded.Ports[0].UUID, recorded.Node)
	if err != nil {
		t.Fatal(err)
	}
	// The other answers hold more than one port; each collection is read from the whole record by its name.
	if len(recorded.Ports) == 1 {
		if _, n.Port, err = translatePorts("test", "ports", recorded.Ports[0].Address, body); err != nil {
			t.Fatal(err)
		}
	}
	if n.Volumes, err = translateTargets("test", body); err != nil {
		t.Fatal(err)
	}
	if n.Initiator, err = translateConnectors("test", body); err != nil {
		t.Fatal(err)
	}
	return n
}

const uuid = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"

// nodeBody is a node's answer with some fields replaced; an empty text takes a field away.
func nodeBody(replace map[string]string) []byte {
	fields := map[string]string{
		"uuid": `"` + uuid + `"`, "name": `null`, "driver": `"ipmi"`, "provision_state": `"active"`, "boot_interface": `"ipxe"`,
		"deploy_interface": `"direct"`, "inspect_interface": `"agent"`, "deploy_step": `{}`, "properties": `{}`,
		"driver_info": `{}`, "instance_info": `{}`, "driver_internal_info": `{}`,
	}
	maps.Copy(fields, replace)
	raw := map[string]json.RawMessage{}
	for name, value := range fields {
		if value != "" {
			raw[name] = json.RawMessage(value)
		}
	}
	body, err := json.Marshal(raw)
	if err != nil {
		panic(err)
	}
	return body
}

type with = map[string]string

// TestNodeFacts has one row for each fact, and for each way in which Ironic may write it.
func TestNodeFacts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields with
		want   string // of the node's JSON, what must be in it; with a leading ! what must not
	}{
		"state":                              {with{"provision_state": `"deploy hold"`}, `"provision_state":"deploy hold"`},
		"state of a later release":           {with{"provision_state": `"defragmenting"`}, `"provision_state":"defragmenting"`},
		"name":                               {with{"name": `"n1"`}, `"name":"n1"`},
		"odd name":                           {with{"name": `7`}, `!"name"`},
		"no name":                            {with{"name": ``}, `!"name"`},
		"no interfaces":                      {with{"boot_interface": `null`}, `!"boot_interface"`},
		"architecture":                       {with{"properties": `{"cpu_arch": "aarch64"}`}, `"cpu_arch":"aarch64"`},
		"odd architecture":                   {with{"properties": `{"cpu_arch": 64}`}, `!"cpu_arch"`},
		"null properties":                    {with{"properties": `null`}, `!"cpu_arch"`},
		"deploy step":                        {with{"deploy_step": `{"step": "boot_instance", "priority": 20}`}, `"deploy_step":"boot_instance"`},
		"null deploy step":                   {with{"deploy_step": `null`}, `!"deploy_step"`},
		"deploy images":                      {with{"driver_info": `{"deploy_kernel": "k", "deploy_ramdisk": "r"}`}, `"deploy":{"kernel":"k","ramdisk":"r"}`},
		"names are exact":                    {with{"driver_info": `{"deploy_kernel": "k", "Deploy_Kernel": "K", "DEPLOY_KERNEL": 1}`}, `"deploy":{"kernel":"k"}`},
		"rescue images":                      {with{"driver_info": `{"rescue_kernel": "k", "rescue_ramdisk": null}`}, `"rescue":{"kernel":"k"}`},
		"instance images":                    {with{"instance_info": `{"kernel": "k", "ramdisk": "r", "capabilities": {"boot_mode": "uefi"}}`}, `"instance":{"kernel":"k","ramdisk":"r"}`},
		"ISO":                                {with{"instance_info": `{"boot_iso": "http://i"}`}, `"boot_iso":"http://i"`},
		"stage2 of the driver":               {with{"driver_internal_info": `{"stage2": "a"}`, "instance_info": `{"stage2": "b"}`}, `"stage2":"a"`},
		"stage2 of the instance":             {with{"driver_internal_info": `{"stage2": null}`, "instance_info": `{"stage2": "b"}`}, `"stage2":"b"`},
		"a repository":                       {with{"driver_internal_info": `{"is_source_a_path": true}`, "instance_info": `{"image_source": "http://r/"}`}, `"repository_url":"http://r/"`},
		"no repository":                      {with{"driver_internal_info": `{"is_source_a_path": false}`, "instance_info": `{"image_source": "http://r/"}`}, `!"repository_url"`},
		"Glance's image is not looked at":    {with{"driver_internal_info": `{}`, "instance_info": `{"image_source": {"odd": 1}}`}, `!"repository_url"`},
		"whole disk image":                   {with{"driver_internal_info": `{"is_whole_disk_image": true}`}, `"whole_disk_image":true`},
		"params of the instance":             {with{"driver_info": `{"kernel_append_params": "d"}`, "instance_info": `{"kernel_append_params": "i"}`}, `"kernel_append_params":"i"`},
		"params of the driver":               {with{"driver_info": `{"kernel_append_params": "d"}`, "instance_info": `{"kernel_append_params": null}`}, `"kernel_append_params":"d"`},
		"no params is a value":               {with{"driver_info": `{"kernel_append_params": "d"}`, "instance_info": `{"kernel_append_params": ""}`}, `"kernel_append_params":""`},
		"no params":                          {nil, `!"kernel_append_params"`},
		"ramdisk arguments":                  {with{"instance_info": `{"ramdisk_kernel_arguments": "quiet"}`}, `"ramdisk_kernel_arguments":"quiet"`},
		"cleaning without ramdisk":           {with{"provision_state": `"clean wait"`, "driver_internal_info": `{"cleaning_disable_ramdisk": true}`}, `"ramdisk_disabled":true`},
		"an earlier cleaning without":        {with{"driver_internal_info": `{"cleaning_disable_ramdisk": true}`}, `!"ramdisk_disabled"`},
		"service without ramdisk":            {with{"provision_state": `"servicing"`, "driver_internal_info": `{"service_disable_ramdisk": true}`}, `"ramdisk_disabled":true`},
		"service after such cleaning":        {with{"provision_state": `"servicing"`, "driver_internal_info": `{"cleaning_disable_ramdisk": true}`}, `!"ramdisk_disabled"`},
		"managed inspection":                 {with{"driver_internal_info": `{"inspector_manage_boot": true}`}, `"inspection_managed":true`},
		"boot volume":                        {with{"driver_internal_info": `{"boot_from_volume": "v"}`}, `"boot_volume":"v"`},
		"no boot volume":                     {with{"driver_internal_info": `{"boot_from_volume": null}`}, `!"boot_volume"`},
		"large numbers elsewhere are no bar": {with{"driver_internal_info": `{"x": 1e999, "y": 123456789012345678901234567890}`}, `"uuid"`},
		"content that hides nothing":         {with{"driver_info": `{"content": "** Redacted **", "deploy_kernel": "k"}`}, `"kernel":"k"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := translateNode("test", uuid, nodeBody(tt.fields))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(n)
			want, absent := strings.CutPrefix(tt.want, "!")
			if strings.Contains(string(text), want) == absent {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}

func TestNodeIsUnusable(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields with
		reason string
		about  string
	}{
		"no UUID":             {with{"uuid": ``}, "missing_field", "uuid"},
		"null UUID":           {with{"uuid": `null`}, "missing_field", "uuid"},
		"odd UUID":            {with{"uuid": `"../nodes"`}, "wrong_type", "uuid"},
		"another UUID":        {with{"uuid": `"00000000-03f2-4d2e-ae87-c02d7f33c123"`}, "wrong_node", "another node"},
		"no state":            {with{"provision_state": ``}, "missing_field", "provision_state"},
		"null state":          {with{"provision_state": `null`}, "missing_field", "provision_state"},
		"empty state":         {with{"provision_state": `""`}, "missing_field", "provision_state"},
		"odd state":           {with{"provision_state": `5`}, "wrong_type", "provision_state"},
		"odd boot interface":  {with{"boot_interface": `{}`}, "wrong_type", "boot_interface"},
		"no deploy interface": {with{"deploy_interface": ``}, "missing_field", "deploy_interface"},
		"no internal info":    {with{"driver_internal_info": ``}, "missing_field", "driver_internal_info"},
		"odd internal info":   {with{"driver_internal_info": `"{}"`}, "wrong_type", "driver_internal_info"},
		"odd driver info":     {with{"driver_info": `[]`}, "wrong_type", "driver_info"},
		"odd deploy step":     {with{"deploy_step": `"boot_instance"`}, "wrong_type", "deploy_step"},
		"odd kernel":          {with{"driver_info": `{"deploy_kernel": ["k"]}`}, "wrong_type", "deploy_kernel"},
		"odd params":          {with{"instance_info": `{"kernel_append_params": ["a", "b"]}`}, "wrong_type", "kernel_append_params"},
		"odd volume":          {with{"driver_internal_info": `{"boot_from_volume": true}`}, "wrong_type", "boot_from_volume"},
		"odd flag":            {with{"driver_internal_info": `{"inspector_manage_boot": "false"}`}, "wrong_type", "inspector_manage_boot"},
		"hidden driver info": {with{"driver_info": `{"content": "** Redacted - requires baremetal:node:get:driver_info permission. **"}`},
			"redacted", "baremetal:node:get:driver_info"},
		"hidden internal info": {with{"driver_internal_info": `{"content": "** Redacted - Requires baremetal:node:get:driver_internal_info permission. **"}`},
			"redacted", "baremetal:node:get:driver_internal_info"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := translateNode("test", uuid, nodeBody(tt.fields))
			wantUnusable(t, err, tt.reason, tt.about)
			if n != nil {
				t.Errorf("got %+v beside the error", n)
			}
		})
	}
}

func wantUnusable(t *testing.T, err error, reason, about string) {
	t.Helper()
	var e *Error
	if !errors.Is(err, ErrBadAnswer) || !errors.As(err, &e) || e.Reason != reason || !strings.Contains(err.Error(), about) {
		t.Errorf("error %v, want %v (%s) about %s", err, ErrBadAnswer, reason, about)
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	const mac, port = "52:54:00:17:00:0a", `{"address": "52:54:00:17:00:0a", "node_uuid": "` + uuid + `", "pxe_enabled": true}`
	for name, tt := range map[string]struct {
		body, reason string
		disabled     bool
	}{
		"one":                {body: `{"ports": [` + port + `]}`},
		"upper case":         {body: `{"ports": [` + strings.Replace(port, "0a", "0A", 1) + `]}`},
		"disabled":           {body: `{"ports": [` + strings.Replace(port, "true", "false", 1) + `]}`, disabled: true},
		"null is disabled":   {body: `{"ports": [` + strings.Replace(port, "true", "null", 1) + `]}`, disabled: true},
		"odd enabled":        {body: `{"ports": [` + strings.Replace(port, "true", `"yes"`, 1) + `]}`, reason: "wrong_type"},
		"enabled unknown":    {body: `{"ports": [{"address": "52:54:00:17:00:0a", "node_uuid": "` + uuid + `"}]}`, reason: "missing_field"},
		"none":               {body: `{"ports": []}`, reason: "no_port"},
		"two":                {body: `{"ports": [` + port + `, ` + port + `]}`, reason: "two_ports"},
		"of another":         {body: `{"ports": [` + strings.Replace(port, ":0a", ":0b", 1) + `]}`, reason: "wrong_port"},
		"without a node":     {body: `{"ports": [` + strings.Replace(port, `"`+uuid+`"`, "null", 1) + `]}`, reason: "missing_field"},
		"node of odd form":   {body: `{"ports": [` + strings.Replace(port, uuid, "../../lookup", 1) + `]}`, reason: "wrong_type"},
		"no ports":           {body: `{}`, reason: "wrong_type"},
		"null ports":         {body: `{"ports": null}`, reason: "wrong_type"},
		"a port is a text":   {body: `{"ports": ["` + mac + `"]}`, reason: "wrong_type"},
		"not even an object": {body: `[]`, reason: "wrong_type"},
		"not JSON":           {body: `{"ports": [`, reason: "bad_json"},
		"nothing":            {body: ``, reason: "bad_json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, p, err := translatePorts("test", "ports", mac, []byte(tt.body))
			var e *Error
			if errors.As(err, &e) {
				if e.Reason != tt.reason {
					t.Errorf("error %v, want %q", err, tt.reason)
				}
				return
			}
			if want := (ipxe.Port{Address: mac, PXEDisabled: tt.disabled}); tt.reason != "" || got != uuid || p != want {
				t.Errorf("node %s, port %+v, error %v; want %s, %+v, %q", got, p, err, uuid, want, tt.reason)
			}
		})
	}
}

func TestISCSIProperties(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		properties string
		want       ipxe.Volume // without what all have
		reason     string
	}{
		"singular":            {`{"target_iqn": "q", "target_lun": 12, "target_portal": "h:1"}`, ipxe.Volume{IQN: "q", LUN: 12, Portals: []string{"h:1"}}, ""},
		"plural":              {`{"target_iqns": ["q", "x"], "target_luns": [3, 4], "target_portals": ["h:1", "i:2"]}`, ipxe.Volume{IQN: "q", LUN: 3, Portals: []string{"h:1", "i:2"}}, ""},
		"singular wins":       {`{"target_iqn": "q", "target_iqns": ["x"], "target_lun": 1, "target_luns": [2]}`, ipxe.Volume{IQN: "q", LUN: 1}, ""},
		"portals win":         {`{"target_portal": "h:1", "target_portals": ["i:2"]}`, ipxe.Volume{Portals: []string{"i:2"}}, ""},
		"singular lists":      {`{"target_iqn": ["q"], "target_lun": [5], "target_portal": ["h:1", "i:2"]}`, ipxe.Volume{IQN: "q", LUN: 5, Portals: []string{"h:1"}}, ""},
		"empty singular":      {`{"target_iqn": "", "target_iqns": ["q"]}`, ipxe.Volume{IQN: "q"}, ""},
		"LUN as text":         {`{"target_lun": "12"}`, ipxe.Volume{LUN: 12}, ""},
		"LUN as empty text":   {`{"target_lun": ""}`, ipxe.Volume{}, ""},
		"LUN null":            {`{"target_lun": null, "target_luns": [2]}`, ipxe.Volume{LUN: 2}, ""},
		"LUN empty":           {`{"target_luns": []}`, ipxe.Volume{}, ""},
		"CHAP":                {`{"auth_method": "CHAP", "auth_username": "alice", "auth_password": "******"}`, ipxe.Volume{Username: "alice"}, ""},
		"redacted":            {`{"redacted_contents": "** Value redacted **"}`, ipxe.Volume{Redacted: true}, ""},
		"none":                {`null`, ipxe.Volume{}, ""},
		"LUN in hexadecimal":  {`{"target_lun": "0xc"}`, ipxe.Volume{}, "wrong_type"},
		"LUN with a fraction": {`{"target_lun": 1.5}`, ipxe.Volume{}, "wrong_type"},
		"LUN below zero":      {`{"target_lun": -1}`, ipxe.Volume{}, "wrong_type"},
		"odd LUN":             {`{"target_lun": {}}`, ipxe.Volume{}, "wrong_type"},
		"odd IQN":             {`{"target_iqn": 5}`, ipxe.Volume{}, "wrong_type"},
		"odd portals":         {`{"target_portals": [5]}`, ipxe.Volume{}, "wrong_type"},
		"odd user":            {`{"auth_username": true}`, ipxe.Volume{}, "wrong_type"},
		"odd properties":      {`"x"`, ipxe.Volume{}, "wrong_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			volumes, err := translateTargets("test", []byte(`{"targets": [{"uuid": "`+uuid+`", "volume_type": "iscsi", "boot_index": 0, "properties": `+tt.properties+`}]}`))
			if tt.reason != "" {
				wantUnusable(t, err, tt.reason, "")
				return
			}
			tt.want.UUID, tt.want.Type = uuid, "iscsi"
			got, _ := json.Marshal(volumes)
			want, _ := json.Marshal([]ipxe.Volume{tt.want})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %s and %v, want %s", got, err, want)
			}
		})
	}
}

// TestOtherVolumesMayBeOdd checks that only what a script may come to hold is looked at.
func TestOtherVolumesMayBeOdd(t *testing.T) {
	t.Parallel()
	const body = `{"targets": [{"uuid": "` + uuid + `", "volume_type": "fibre_channel", "boot_index": 1, "properties": {"target_lun": "0x1"}}]}`
	volumes, err := translateTargets("test", []byte(body))
	if err != nil || len(volumes) != 1 || volumes[0].BootIndex != 1 {
		t.Errorf("got %+v and %v, want one volume with boot index 1", volumes, err)
	}
	_, err = translateTargets("test", []byte(strings.Replace(body, `"boot_index": 1, `, ``, 1)))
	wantUnusable(t, err, "missing_field", "boot_index")
}

func TestConnectors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"connectors": []}`: "",
		`{"connectors": [{"type": "iqn", "connector_id": "a"}, {"type": "iqn", "connector_id": "b"}, {"type": "wwnn", "connector_id": "c"}]}`: "b",
		`{"connectors": [{"type": "ip", "connector_id": "a"}]}`:                                                                               "",
	} {
		if got, err := translateConnectors("test", []byte(body)); got != want || err != nil {
			t.Errorf("%s: %q and %v, want %q", body, got, err, want)
		}
	}
	_, err := translateConnectors("test", []byte(`{"connectors": [{"type": "iqn", "connector_id": 7}]}`))
	wantUnusable(t, err, "wrong_type", "connector_id")
}
