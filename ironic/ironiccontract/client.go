// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

func newClient(t *testing.T, endpoint string, auth ironic.Auth) *ironic.Client {
	t.Helper()
	client, err := ironic.New(t.Context(), ironic.Config{Endpoint: endpoint, Auth: auth, Release: "contract"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// testClient is package ironic itself: what it makes of the answers.
func (c *contract) testClient(t *testing.T) {
	client := newClient(t, c.URL, c.Auth)
	params := "nofb console=ttyS0"
	plain := ipxe.Node{UUID: plainUUID, Name: "contract-plain", Driver: "fake-hardware", ProvisionState: ipxe.DeployWait,
		BootInterface: "ipxe", DeployInterface: "direct", CPUArch: "x86_64", WholeDiskImage: true, KernelAppendParams: &params,
		Deploy: ipxe.Images{Kernel: c.Images + "/deploy_kernel", Ramdisk: c.Images + "/deploy_ramdisk"}}

	t.Run("by the address of a port", func(t *testing.T) {
		for mac, port := range map[string]ipxe.Port{plainMAC: {Address: plainMAC}, disabledMAC: {Address: disabledMAC, PXEDisabled: true}} {
			want := plain
			want.Port = port
			n, err := client.NodeByMAC(t.Context(), mac)
			wantNode(t, n, err, want)
		}
	})
	t.Run("by the address of a portgroup", func(t *testing.T) {
		n, err := client.NodeByMAC(t.Context(), portgroupMAC)
		if err != nil {
			t.Fatal(err)
		}
		if n.UUID != bondUUID || n.ProvisionState != ipxe.Available || n.Port != (ipxe.Port{Address: portgroupMAC}) {
			t.Errorf("node %s in state %q with %+v", n.UUID, n.ProvisionState, n.Port)
		}
	})
	t.Run("by UUID", func(t *testing.T) {
		for _, uuid := range []string{plainUUID, strings.ToUpper(plainUUID)} {
			n, err := client.NodeByUUID(t.Context(), uuid)
			wantNode(t, n, err, plain)
		}
	})
	t.Run("by name", func(t *testing.T) {
		n, err := client.NodeByName(t.Context(), "contract-plain")
		wantNode(t, n, err, plain)
		if n, err := client.NodeByName(t.Context(), "contract-nobody"); !errors.Is(err, ironic.ErrNoNode) {
			t.Errorf("a name that no node has: %v, %v", n, err)
		}
	})
	t.Run("from a volume", func(t *testing.T) {
		n, err := client.NodeByMAC(t.Context(), volumeMAC)
		if err != nil {
			t.Fatal(err)
		}
		if n.ProvisionState != ipxe.Active || n.BootVolume != target0UUID || n.Initiator != initiatorIQN {
			t.Errorf("state %q, boot volume %q, initiator %q", n.ProvisionState, n.BootVolume, n.Initiator)
		}
		var want []ipxe.Volume
		for i, uuid := range []string{target0UUID, target1UUID} {
			want = append(want, ipxe.Volume{UUID: uuid, Type: "iscsi", BootIndex: i, LUN: i, Portals: []string{"192.0.2.7:3260"},
				IQN: "iqn.2026-01.test.contract:target", Username: "alice"})
		}
		wantSame(t, n.Volumes, want)
	})
	t.Run("all", func(t *testing.T) {
		found := false
		for n, err := range client.Nodes(t.Context(), ironic.Scope{}) {
			if err != nil {
				t.Fatal(err)
			}
			if n.UUID == plainUUID {
				found = true
				wantNode(t, n.Node, nil, plain)
			}
		}
		if !found {
			t.Error("a node is missing from the list")
		}
		for n := range client.Nodes(t.Context(), ironic.Scope{ConductorGroup: "nowhere"}) {
			t.Errorf("node %v is of a group that has none", n.Node)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		_, err := client.NodeByMAC(t.Context(), nobodyMAC)
		wantError(t, err, ironic.ErrNoNode, "no_port")
		_, err = client.NodeByUUID(t.Context(), nobodyUUID)
		wantError(t, err, ironic.ErrNoNode, "no_node")
	})
	t.Run("at a wrong path", func(t *testing.T) {
		// Ironic's own 404 for a path must not pass for its 404 for a node.
		_, err := newClient(t, c.URL+"/baremetal", c.Auth).NodeByMAC(t.Context(), plainMAC)
		wantError(t, err, ironic.ErrBadAnswer, "not_ironic")
	})
}

// wantNode compares nodes, but for the two facts in which conductors differ: the release's inspect interface, and where a
// deployment stands.
func wantNode(t *testing.T, n *ipxe.Node, err error, want ipxe.Node) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if n.InspectInterface == "" {
		t.Error("no inspect interface")
	}
	want.InspectInterface, want.DeployStep = n.InspectInterface, n.DeployStep
	wantSame(t, n, &want)
}

func wantSame(t *testing.T, got, want any) {
	t.Helper()
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func wantError(t *testing.T, err, kind error, reason string) {
	t.Helper()
	var e *ironic.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("error %v, want %v (%s)", err, kind, reason)
	}
}

// testCredentials is about what is public, and what becomes of a wrong password.
func (c *contract) testCredentials(t *testing.T) {
	private := []string{"/v1/nodes", "/v1/nodes/" + plainUUID, "/v1/ports?address=" + plainMAC, "/v1/portgroups", "/v1/volume/targets",
		"/v1/volume/connectors", "/v1/nonsense", "/v1/nodes/" + nobodyUUID}
	wantStatus := func(t *testing.T, r *http.Request, want int) answer {
		t.Helper()
		r.Header.Set(headerVersion, latest)
		a := send(t, r)
		if a.status != want {
			t.Errorf("%s: status %d, want %d: %s", a.asked, a.status, want, a.body)
		}
		return a
	}
	for _, path := range []string{"/", "/v1", "/v1/"} {
		wantStatus(t, c.request(t, http.MethodGet, path, nil), http.StatusOK)
	}
	wantStatus(t, c.request(t, http.MethodGet, "/v1/lookup", nil), http.StatusBadRequest)
	wantStatus(t, c.request(t, http.MethodPost, "/v1/heartbeat/"+nobodyUUID, object{"callback_url": callback}), http.StatusNotFound)
	challenge, others := "Basic ", []ironic.Auth{{Kind: "none"}}
	give := func(r *http.Request, secret string) { r.SetBasicAuth(c.Auth.Username, secret) }
	switch c.Auth.Kind {
	case basic:
		wrong := c.Auth
		wrong.Password = "wrong"
		others = append(others, wrong, ironic.Auth{Kind: basic, Username: "nobody", Password: c.Auth.Password})
	case cloud:
		challenge = "Keystone uri="
		give = func(r *http.Request, secret string) { r.Header.Set(headerToken, secret) }
	default:
		wantStatus(t, c.request(t, http.MethodGet, private[0], nil), http.StatusOK)
		return
	}
	for _, secret := range []string{"", "wrong"} {
		for _, path := range private {
			r := c.request(t, http.MethodGet, path, nil)
			if secret != "" {
				give(r, secret)
			}
			a := wantStatus(t, r, http.StatusUnauthorized)
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), challenge) {
				t.Errorf("%s: challenge %q", a.asked, a.header.Get("WWW-Authenticate"))
			}
		}
	}
	for _, auth := range others {
		client := newClient(t, c.URL, auth)
		_, err := client.NodeByMAC(t.Context(), plainMAC)
		wantError(t, err, ironic.ErrUnavailable, "unauthorized")
	}
}
