// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/recorded/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var recorded struct{ Node json.RawMessage }
		if err := json.Unmarshal(body, &recorded); err != nil {
			f.Fatal(err)
		}
		f.Add(body)
		f.Add([]byte(recorded.Node))
	}
	f.Add(nodeBody(nil))
	f.Add(nodeBody(with{"driver_internal_info": `{"boot_from_volume": [[[]]]}`, "deploy_step": `{"step": {"step": null}}`}))
	for _, text := range []string{
		``, `null`, `{}`, `[]`, `""`, `{"ports": [null]}`, `{"targets": [{"properties": {"target_luns": [[1]]}}]}`,
		`{"connectors": [{"type": "iqn", "connector_id": "\u0000"}]}`, `{"uuid": "a", "uuid": null}`, "{\"uuid\": \"\xff\"}",
	} {
		f.Add([]byte(text))
	}
}

// wantTotal checks that a translation has either a result or an *Error that says which kind it is.
func wantTotal(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Reason == "" || !errors.Is(err, ErrBadAnswer) && !errors.Is(err, ErrNoNode)) {
		t.Errorf("error %#v", err)
	}
}

// FuzzTranslate reads odd JSON as each of the answers.
func FuzzTranslate(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := translateNode("fuzz", uuid, body)
		wantTotal(t, err)
		if err == nil && (n.UUID != uuid || n.ProvisionState == "") {
			t.Errorf("node %+v", n)
		}
		for _, collection := range []string{"ports", "portgroups"} {
			id, port, err := translatePorts("fuzz", collection, "52:54:00:17:00:01", body)
			wantTotal(t, err)
			if err == nil {
				if _, err := ipxe.ParseUUID(id); err != nil || port.Address != "52:54:00:17:00:01" {
					t.Errorf("node %q, port %+v", id, port)
				}
			}
		}
		volumes, err := translateTargets("fuzz", body)
		wantTotal(t, err)
		for _, v := range volumes {
			if err == nil && v.LUN < 0 {
				t.Errorf("volume %+v", v)
			}
		}
		_, err = translateConnectors("fuzz", body)
		wantTotal(t, err)
		if fromIronic(body) && !json.Valid(body) {
			t.Error("an error document that is not JSON")
		}
	})
}
