// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	recordedNode = "434486a0-06c8-435c-ab93-4571d01a9949"
	recordedMAC  = "52:54:00:00:ab:01"
)

// message is a notification with the given object data, as format 1 has it.
func message(event, data string) string {
	return `{"event_type": "` + event + `", "priority": "INFO", "payload": {"ironic_object.version": "1.0", "ironic_object.data": ` + data + `}}`
}

func envelope(t testing.TB, version, text string) string {
	t.Helper()
	out, err := json.Marshal(map[string]string{"oslo.version": version, "oslo.message": text})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestDecodeRecorded reads what Ironic 39.0 sends with both drivers of oslo.messaging.
func TestDecodeRecorded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Change{
		"39.0-messagingv2-node-provision_set": {Object: "node", Node: recordedNode},
		"39.0-messagingv2-port-create":        {Object: "port", Node: recordedNode, MAC: recordedMAC},
		"39.0-messaging-node-power_set":       {Object: "node"},
		"39.0-messaging-port-create":          {Object: "port", Node: recordedNode, MAC: recordedMAC},
	} {
		body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(body)
		if want.Node == "" {
			want.Node = recordedNode
		}
		if got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const uuid = "6D4C7E01-1700-4000-8000-000000000001"
	node := strings.ToLower(uuid)
	ofNode := `{"uuid": "not the node's", "node_uuid": "` + uuid + `"}`
	for name, c := range map[string]struct {
		body string
		want Change
		err  string // a part of it; empty: none
	}{
		"node":                      {body: message("baremetal.node.update.end", `{"uuid": "`+uuid+`"}`), want: Change{Object: "node", Node: node}},
		"node, maintenance":         {body: message("baremetal.node.maintenance_set.start", `{"uuid": "`+uuid+`"}`), want: Change{Object: "node", Node: node}},
		"node, an action yet to be": {body: message("baremetal.node.sing.loud.end", `{"uuid": "`+uuid+`"}`), want: Change{Object: "node", Node: node}},
		"node in an envelope":       {body: envelope(t, "2.1", message("baremetal.node.delete.end", `{"uuid": "`+uuid+`"}`)), want: Change{Object: "node", Node: node}},
		"port of nobody":            {body: message("baremetal.port.delete.end", `{"node_uuid": null, "address": "52:54:00:AA:00:01"}`), want: Change{Object: "port", MAC: "52:54:00:aa:00:01"}},
		"port with an odd address":  {body: message("baremetal.port.update.end", `{"node_uuid": "`+uuid+`", "address": "00:11:22"}`), want: Change{Object: "port", Node: node}},
		"portgroup without address": {body: message("baremetal.portgroup.create.end", `{"node_uuid": "`+uuid+`", "address": null}`), want: Change{Object: "portgroup", Node: node}},
		"volumeconnector":           {body: message("baremetal.volumeconnector.create.end", ofNode), want: Change{Object: "volumeconnector", Node: node}},
		"volumetarget":              {body: message("baremetal.volumetarget.update.error", ofNode), want: Change{Object: "volumetarget", Node: node}},

		"allocation":               {body: message("baremetal.allocation.create.end", `{"uuid": "`+uuid+`"}`), err: ErrOther.Error()},
		"of another service":       {body: message("compute.node.update.end", `{"uuid": "`+uuid+`"}`), err: ErrOther.Error()},
		"sensors":                  {body: `{"event_type": "hardware.ipmi.metrics.update", "payload": {"node_uuid": "` + uuid + `"}}`, err: ErrOther.Error()},
		"no action":                {body: message("baremetal.node.update", `{"uuid": "`+uuid+`"}`), err: ErrOther.Error()},
		"empty":                    {err: "not JSON"},
		"compressed":               {body: "\x1f\x8b\x08\x00", err: "not JSON"},
		"a list":                   {body: `[{"event_type": "baremetal.node.update.end"}]`, err: "another type"},
		"no event":                 {body: `{}`, err: "no event type"},
		"an event that is none":    {body: `{"event_type": {"a": "s3cret"}}`, err: "another type"},
		"a payload that is none":   {body: `{"event_type": "baremetal.node.update.end", "payload": "s3cret"}`, err: "another type"},
		"a UUID that is none":      {body: message("baremetal.node.update.end", `{"uuid": "s3cret"}`), err: "UUID"},
		"no node":                  {body: message("baremetal.volumetarget.update.end", `{"node_uuid": null}`), err: "neither"},
		"neither node nor MAC":     {body: message("baremetal.port.update.end", `{"address": "s3cret"}`), err: "neither"},
		"an envelope of version 3": {body: envelope(t, "3.0", message("baremetal.node.update.end", `{"uuid": "`+uuid+`"}`)), err: "version 2"},
		"an envelope in an envelope": {body: envelope(t, "2.0", envelope(t, "2.0", message("baremetal.node.update.end", `{"uuid": "`+uuid+`"}`))),
			err: "no event type"},
		"rubbish in an envelope": {body: envelope(t, "2.0", "s3cret"), err: "not JSON"},
		"too long":               {body: message("baremetal.node.update.end", `{"uuid": "`+uuid+`", "extra": "`+strings.Repeat("x", MaxMessage)+`"}`), err: "more than"},
	} {
		got, err := Decode([]byte(c.body))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %+v, %v; want %+v and an error with %q", name, got, err, c.want, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows the message: %v", name, err)
		}
		if errors.Is(err, ErrOther) != (c.err == ErrOther.Error()) {
			t.Errorf("%s: %v is ErrOther: %t", name, err, errors.Is(err, ErrOther))
		}
	}
}

// FuzzDecode wants an answer that can be used, or an error, and the same from a bare message and one in an envelope.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no recorded messages", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := Decode(body)
		if err != nil {
			if c != (Change{}) {
				t.Errorf("%+v beside the error %v", c, err)
			}
			return
		}
		if c.Node == "" && c.MAC == "" || len(c.Node) != 36 && c.Node != "" || c.Node != strings.ToLower(c.Node) {
			t.Errorf("%+v names nothing that there could be", c)
		}
		if len(body) > MaxMessage/8 || !json.Valid(body) || strings.Contains(strings.ToLower(string(body)), "oslo.") {
			return
		}
		if wrapped, err := Decode([]byte(envelope(t, "2.0", string(body)))); wrapped != c && strings.ToValidUTF8(string(body), "") == string(body) {
			t.Errorf("in an envelope %+v, %v; bare %+v", wrapped, err, c)
		}
	})
}
