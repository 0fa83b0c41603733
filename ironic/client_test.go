// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

const (
	uuid1 = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
	mac1  = "52:54:00:17:00:01"
)

// node1 is a node with something of everything.
func node1() ironictest.Node {
	return ironictest.Node{
		UUID: uuid1, Name: "n1", ProvisionState: "wait call-back", DeployStep: "write_image",
		Properties: map[string]any{"cpu_arch": "aarch64"},
		DriverInfo: map[string]any{
			"deploy_kernel": "http://images/ipa.kernel", "deploy_ramdisk": "http://images/ipa.initramfs",
			"kernel_append_params": "nofb %default%", "ipmi_password": "very secret",
		},
		InstanceInfo: map[string]any{"image_source": "http://images/disk"},
		Ports:        []ironictest.Port{{Address: mac1}, {Address: "52:54:00:17:00:02", PXEDisabled: true}},
		Portgroups:   []ironictest.Portgroup{{Address: "52:54:00:17:00:0b"}},
	}
}

func newClient(t *testing.T, cfg ironic.Config) *ironic.Client {
	t.Helper()
	cfg.Release = "1.2.3"
	c, err := ironic.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func start(t *testing.T, nodes ...ironictest.Node) (*ironictest.Server, *ironic.Client) {
	t.Helper()
	api := ironictest.Start(nodes...)
	t.Cleanup(api.Close)
	return api, newClient(t, ironic.Config{Endpoint: api.URL})
}

func calls(t *testing.T, api *ironictest.Server, want map[string]int) {
	t.Helper()
	for _, kind := range []string{"root", "v1", "nodes", "node", "ports", "portgroups", "targets", "connectors", "lookup", "other"} {
		if got := api.Calls(kind); got != want[kind] {
			t.Errorf("%d calls of kind %s, want %d", got, kind, want[kind])
		}
	}
}

func TestNodeByMACTakesTwoCalls(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	n, err := c.NodeByMAC(t.Context(), mac1)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(n)
	params := "nofb %default%"
	want, _ := json.Marshal(&ipxe.Node{
		UUID: uuid1, Name: "n1", Driver: "ipmi", ProvisionState: ipxe.DeployWait,
		BootInterface: "ipxe", DeployInterface: "direct", InspectInterface: "agent",
		Port: ipxe.Port{Address: mac1}, CPUArch: "aarch64", DeployStep: "write_image",
		Deploy:             ipxe.Images{Kernel: "http://images/ipa.kernel", Ramdisk: "http://images/ipa.initramfs"},
		KernelAppendParams: &params,
	})
	if string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	calls(t, api, map[string]int{"v1": 1, "ports": 1, "node": 1})

	if _, err := c.NodeByMAC(t.Context(), mac1); err != nil {
		t.Fatal(err)
	}
	calls(t, api, map[string]int{"v1": 1, "ports": 2, "node": 2})
	for _, r := range api.Requests()[1:] {
		if r.Version != "1.115" || !strings.Contains(r.Query, "fields=") {
			t.Errorf("%s?%s in version %s, want fields and 1.115", r.Path, r.Query, r.Version)
		}
		if !strings.HasPrefix(r.UserAgent, "ironic-edge/1.2.3 ") {
			t.Errorf("User-Agent %q", r.UserAgent)
		}
	}
}

func TestNodeByMACOfDisabledPort(t *testing.T) {
	t.Parallel()
	_, c := start(t, node1())
	n, err := c.NodeByMAC(t.Context(), "52:54:00:17:00:02")
	if err != nil {
		t.Fatal(err)
	}
	if want := (ipxe.Port{Address: "52:54:00:17:00:02", PXEDisabled: true}); n.Port != want {
		t.Errorf("port %+v, want %+v", n.Port, want)
	}
}

func TestNodeByMACOfPortgroup(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	n, err := c.NodeByMAC(t.Context(), "52:54:00:17:00:0b")
	if err != nil {
		t.Fatal(err)
	}
	if want := (ipxe.Port{Address: "52:54:00:17:00:0b"}); n.UUID != uuid1 || n.Port != want {
		t.Errorf("node %s with port %+v, want %s with %+v", n.UUID, n.Port, uuid1, want)
	}
	calls(t, api, map[string]int{"v1": 1, "ports": 1, "portgroups": 1, "node": 1})
}

func TestNodeByUUIDTakesOneCall(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	n, err := c.NodeByUUID(t.Context(), strings.ToUpper(uuid1))
	if err != nil {
		t.Fatal(err)
	}
	if n.UUID != uuid1 || n.Port != (ipxe.Port{}) {
		t.Errorf("node %s with port %+v, want %s without", n.UUID, n.Port, uuid1)
	}
	calls(t, api, map[string]int{"v1": 1, "node": 1})
}

func TestVolumesAreAskedForWhenTheNodeBootsFromOne(t *testing.T) {
	t.Parallel()
	fleet := ironictest.DemoFleet("http://images")
	api, c := start(t, fleet...)
	n, err := c.NodeByMAC(t.Context(), "52:54:00:17:00:09")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(n.Volumes)
	const want = `[{"uuid":"6d4c7e01-1700-4000-8000-0000000000f9","type":"iscsi","boot_index":0,` +
		`"portals":["192.0.2.17:3260"],"iqn":"iqn.2026-01.test.rack17:n09","lun":1}]`
	if string(got) != want {
		t.Errorf("volumes %s\nwant    %s", got, want)
	}
	if n.Initiator != "iqn.2026-01.test.rack17:initiator-n09" {
		t.Errorf("initiator %q", n.Initiator)
	}
	calls(t, api, map[string]int{"v1": 1, "ports": 1, "node": 1, "targets": 1, "connectors": 1})
}

func TestNobodyIsFound(t *testing.T) {
	t.Parallel()
	api, c := start(t, node1())
	for name, find := range map[string]func(context.Context) (*ipxe.Node, error){
		"no_port": func(ctx context.Context) (*ipxe.Node, error) { return c.NodeByMAC(ctx, "52:54:00:ff:ff:ff") },
		"no_node": func(ctx context.Context) (*ipxe.Node, error) {
			return c.NodeByUUID(ctx, "00000000-0000-0000-0000-000000000000")
		},
		"not_a_uuid": func(ctx context.Context) (*ipxe.Node, error) { return c.NodeByUUID(ctx, "n1") },
	} {
		_, err := find(t.Context())
		var e *ironic.Error
		if !errors.Is(err, ironic.ErrNoNode) || !errors.As(err, &e) || e.Reason != name {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if n := api.Calls("lookup"); n != 0 {
		t.Errorf("%d calls of lookup", n)
	}
}

// TestNodeRemovedBetweenTheCalls is the race of a node's removal: its port is still there in the first answer.
func TestNodeRemovedBetweenTheCalls(t *testing.T) {
	t.Parallel()
	api := ironictest.New(node1())
	c := newClient(t, ironic.Config{Endpoint: "http://ironic", Wrap: func(http.RoundTripper) http.RoundTripper {
		return inProcess(func(w http.ResponseWriter, r *http.Request) {
			api.ServeHTTP(w, r)
			if r.URL.Path == "/v1/ports" {
				api.Remove(uuid1)
			}
		})
	}})
	if _, err := c.NodeByMAC(t.Context(), mac1); !errors.Is(err, ironic.ErrNoNode) {
		t.Errorf("error %v, want %v", err, ironic.ErrNoNode)
	}
}
