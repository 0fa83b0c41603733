// SPDX-License-Identifier: Apache-2.0

package rack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// memory of a machine, in MiB.
const memory = 512

// Rack is a running edge with its surroundings.
type Rack struct {
	*edge.Edge
	Ironic *ironictest.Server
	Origin *Origin
}

// Start builds what the rack needs in dir and starts it. The nodes have their images at the origin's URL. Options are lines of
// the ironic_edge block, as those of edge.Start; {origin} in them is the origin's URL.
func Start(ctx context.Context, dir string, nodes func(origin string) []ironictest.Node, options ...string) (*Rack, error) {
	for _, d := range []string{"guest", "edge"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	guest, err := qemu.Build(ctx, filepath.Join(dir, "guest"))
	if err != nil {
		return nil, err
	}
	binary, err := edge.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	r := &Rack{Origin: startOrigin(guest)}
	for i, o := range options {
		options[i] = strings.ReplaceAll(o, "{origin}", r.Origin.URL)
	}
	r.Ironic = ironictest.Start(nodes(r.Origin.URL)...)
	r.Edge, err = edge.StartWatched(ctx, binary, filepath.Join(dir, "edge"), r.Ironic.URL,
		append([]string{"public_url http://" + qemu.Host + ":{port}", "allow_origins " + r.Origin.URL,
			"site {\n all\n interval 5s\n snapshot off\n}", "store {dir}/store {\n min_free 0\n}"}, options...)...)
	if err != nil {
		r.Ironic.Close()
		r.Origin.Close()
		return nil, err
	}
	return r, nil
}

// Stop ends all of it.
func (r *Rack) Stop() {
	r.Edge.Stop()
	r.Ironic.Close()
	r.Origin.CloseClientConnections()
	r.Origin.Close()
}

// SwitchOn starts a machine that boots from the edge.
func (r *Rack) SwitchOn(ctx context.Context, m qemu.Machine) (*qemu.VM, error) {
	m.BootURL = "http://" + strings.Replace(r.Address, "127.0.0.1", qemu.Host, 1) + "/boot.ipxe"
	m.Memory = memory
	return qemu.Start(ctx, m)
}

// Node is the node of a machine, for whose ramdisk Ironic has waited for a quarter of an hour. Its images are called as the
// node is, with a query behind them if there is one.
func Node(name, mac, origin, query, params string) ironictest.Node {
	return ironictest.Node{
		UUID: UUID(mac), Name: name, ProvisionState: "wait call-back", ProvisionUpdatedAt: time.Now().Add(-15 * time.Minute),
		Properties: map[string]any{"cpu_arch": "x86_64"},
		DriverInfo: map[string]any{"deploy_kernel": origin + "/" + name + ".kernel" + query, "deploy_ramdisk": origin + "/" + name + ".initramfs" + query,
			"kernel_append_params": params},
		InstanceInfo:       map[string]any{"image_source": origin + "/instance.qcow2", "root_gb": 10},
		DriverInternalInfo: map[string]any{"is_whole_disk_image": true},
		Ports:              []ironictest.Port{{Address: mac}},
	}
}

// UUID is that of the node with a MAC address.
func UUID(mac string) string {
	return fmt.Sprintf("6d4c7e01-1f00-4000-8000-%012s", mac[len(mac)-2:])
}
