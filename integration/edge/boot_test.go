// SPDX-License-Identifier: Apache-2.0

//go:build integration

package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/integration/realironic"
)

// bootTimeout is for one machine from power on to power off. An emulated one takes half a minute on a free core.
const bootTimeout = 4 * time.Minute

// TestBoot boots machines with real iPXE through the edge, which gets their nodes from real Ironic and their images from
// a web server.
func TestBoot(t *testing.T) {
	guest, err := qemu.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	binary, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/agent.kernel"):
			http.ServeFile(w, r, guest.Kernel)
		case strings.HasSuffix(r.URL.Path, "/agent.initramfs"):
			http.ServeFile(w, r, guest.Ramdisk)
		case strings.HasSuffix(r.URL.Path, ".iso"):
			http.ServeFile(w, r, guest.ISO)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(images.Close)

	i, err := realironic.Start(t.Context(), realironic.Release39, t.TempDir(), realironic.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	nodes := drive(t, i, "wait-call-back-direct", "wait-call-back-uefi", "wait-call-back-http-ipxe", "active-ramdisk-iso")
	e, err := Start(t.Context(), binary, t.TempDir(), i.URL,
		"public_url http://"+qemu.Host+":{port}",
		"deploy_kernel "+images.URL+"/agent.kernel",
		"deploy_ramdisk "+images.URL+"/agent.initramfs",
		"image_map "+i.Stubs.Image("")+" "+images.URL+"/",
		`kernel_append_params "console=ttyS0"`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	url := "http://" + strings.Replace(e.Address, "127.0.0.1", qemu.Host, 1) + "/boot.ipxe"

	t.Run("BIOS", func(t *testing.T) {
		boot(t, e, qemu.Machine{MAC: nodes["wait-call-back-direct"].MACs[0], BootURL: url},
			"AGENT cmdline", "AGENT lookup ended with 0", nodes["wait-call-back-direct"].UUID, "AGENT has a token", "AGENT done")
	})
	t.Run("UEFI", func(t *testing.T) {
		boot(t, e, qemu.Machine{UEFI: true, MAC: nodes["wait-call-back-uefi"].MACs[0], BootURL: url},
			"AGENT cmdline", "AGENT lookup ended with 0", nodes["wait-call-back-uefi"].UUID, "AGENT has a token", "AGENT done")
	})
	t.Run("ISO", func(t *testing.T) {
		boot(t, e, qemu.Machine{MAC: nodes["active-ramdisk-iso"].MACs[0], BootURL: url}, "AGENT instance is up")
	})
	t.Run("outage", func(t *testing.T) {
		if err := i.Kill(); err != nil {
			t.Fatal(err)
		}
		vm := start(t, qemu.Machine{MAC: nodes["wait-call-back-http-ipxe"].MACs[0], BootURL: url})
		ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
		defer cancel()
		refused := func() bool {
			return strings.Contains(e.Metrics(), `ironic_edge_refusals_total{reason="ironic_unavailable",status="503"}`)
		}
		if err := Poll(ctx, refused); err != nil {
			t.Fatalf("the machine was never told to wait: %v\n%s", err, vm.Console())
		}
		down := time.NewTimer(20 * time.Second) // it is the length of the outage that matters here, not a condition
		defer down.Stop()
		<-down.C
		if err := i.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		want(t, ctx, e, vm, "AGENT lookup ended with 0", "AGENT has a token", "AGENT done")
	})
}

// drive brings nodes where their cases say.
func drive(t *testing.T, i *realironic.Ironic, names ...string) map[string]*realironic.Node {
	t.Helper()
	var cases []realironic.Case
	for _, c := range realironic.CasesOf(i.Release, false) {
		for _, name := range names {
			if c.Name == name {
				cases = append(cases, c)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	nodes, err := realironic.Fleet(ctx, i, cases)
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != len(names) {
		t.Fatalf("%d nodes for %v", len(nodes), names)
	}
	byName := make(map[string]*realironic.Node)
	for _, n := range nodes {
		byName[n.Case] = n
	}
	return byName
}

func start(t *testing.T, m qemu.Machine) *qemu.VM {
	t.Helper()
	m.Dir = t.TempDir()
	vm, err := qemu.Start(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Stop)
	return vm
}

// boot switches a machine on and wants texts on its console.
func boot(t *testing.T, e *Edge, m qemu.Machine, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	want(t, ctx, e, start(t, m), texts...)
}

func want(t *testing.T, ctx context.Context, e *Edge, vm *qemu.VM, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := vm.WaitFor(ctx, text); err != nil {
			t.Fatalf("%v\nthe edge's log:\n%s", err, e.Log())
		}
	}
}
