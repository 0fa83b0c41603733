// SPDX-License-Identifier: Apache-2.0

//go:build integration

package images

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// bootTimeout is for one machine from power on to power off.
const bootTimeout = 4 * time.Minute

// bigSize is how much is added to the agent's ramdisk: with it a transfer takes long enough to break in the middle.
const bigSize = 200 << 20

// TestImages boots machines from a cold store: one with a ramdisk of 200 MB during whose transfer the line breaks twice,
// and one from a drive over HTTP.
func TestImages(t *testing.T) {
	guest, err := qemu.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ramdisk, sum := bigRamdisk(t, guest.Ramdisk)
	size := fileSize(t, ramdisk)
	origin := NewOrigin(map[string]string{"ipa.kernel": guest.Kernel, "ipa.initramfs": ramdisk, "instance.iso": guest.ISO},
		map[string][]int64{"ipa.initramfs": {size * 3 / 10, size * 9 / 10}})
	t.Cleanup(origin.Close)
	e := startEdge(t, origin, `kernel_append_params "console=ttyS0"`)
	url := "http://" + strings.Replace(e.Address, "127.0.0.1", qemu.Host, 1) + "/boot.ipxe"

	t.Run("ramdisk", func(t *testing.T) {
		boot(t, e, qemu.Machine{MAC: "52:54:00:17:00:01", BootURL: url, Memory: 1536}, "AGENT big "+sum, "AGENT done")
		if n := origin.CutsLeft(); n > 0 {
			t.Errorf("the line did not break %d times", n)
		}
		// Each of the four transfers that may be under way loses a block at most.
		if sent, most := origin.Sent("ipa.initramfs"), size+8<<20; sent > most {
			t.Errorf("%d bytes crossed the line for a ramdisk of %d", sent, size)
		}
	})
	t.Run("drive", func(t *testing.T) {
		boot(t, e, qemu.Machine{MAC: "52:54:00:17:00:08", BootURL: url}, "AGENT instance is up")
		if sent, size := origin.Sent("instance.iso"), fileSize(t, guest.ISO); sent > size {
			t.Errorf("%d bytes crossed the line for an ISO of %d", sent, size)
		}
	})
	t.Run("again", func(t *testing.T) {
		before := origin.Sent("ipa.initramfs")
		boot(t, e, qemu.Machine{UEFI: true, MAC: "52:54:00:17:00:02", BootURL: url, Memory: 1536}, "AGENT big "+sum, "AGENT done")
		if more := origin.Sent("ipa.initramfs") - before; more > 0 {
			t.Errorf("%d bytes crossed the line for another node with the same ramdisk", more)
		}
	})
}

// startEdge runs the binary before a stand-in Ironic with the demo's rack, whose images the origin has.
func startEdge(t *testing.T, origin *Origin, options ...string) *edge.Edge {
	t.Helper()
	binary, err := edge.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	t.Cleanup(api.Close)
	host := qemu.Host
	if inNamespace() {
		host = tapHost
	}
	e, err := edge.Start(t.Context(), binary, t.TempDir(), api.URL, append([]string{"public_url http://" + host + ":{port}",
		"store " + filepath.Join(t.TempDir(), "store") + " {\n\t\t\tmin_free 0\n\t\t}",
		"mirror /efi/ " + origin.URL + "/efi"}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// bigRamdisk adds an archive with a file that cannot be compressed to a ramdisk, and returns the file's digest.
func bigRamdisk(t *testing.T, ramdisk string) (name, sum string) {
	t.Helper()
	dir := t.TempDir()
	big, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(big, h), rand.Reader, bigSize); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(t.TempDir(), "initramfs")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "cp "+ramdisk+" "+name+" && truncate -s %512 "+name+" && echo big | cpio -o -H newc --quiet >> "+name)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return name, hex.EncodeToString(h.Sum(nil))
}

func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// boot switches a machine on and wants texts on its console.
func boot(t *testing.T, e *edge.Edge, m qemu.Machine, texts ...string) {
	t.Helper()
	m.Dir = t.TempDir()
	vm, err := qemu.Start(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	for _, text := range texts {
		if err := vm.WaitFor(ctx, text); err != nil {
			t.Fatalf("%v\nthe edge's log:\n%s", err, e.Log())
		}
	}
}
