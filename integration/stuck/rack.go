// SPDX-License-Identifier: Apache-2.0

package stuck

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// The machines. All but the stranger are nodes.
const (
	fine     = "52:54:00:1f:00:01" // its agent looks itself up and reports
	stalled  = "52:54:00:1f:00:02" // its ramdisk stands still in the middle
	idle     = "52:54:00:1f:00:03" // its ramdisk does nothing
	loops    = "52:54:00:1f:00:04" // its kernel resets it
	silent   = "52:54:00:1f:00:05" // it is never switched on
	stranger = "52:54:00:1f:00:06"
	returns  = "52:54:00:1f:00:07" // it is deployed, and its disk resets it
)

const (
	// stallSize is the length of the ramdisk that stands still, and stallAt how much of it comes.
	stallSize, stallAt = 8 << 20, 3 << 20
	// resetScript is a kernel for the firmware, which may be a script of its own: it resets the machine without delay.
	resetScript = "#!ipxe\nreboot\n"
)

// resetSector is a disk's first sector for a BIOS: it jumps to where a processor begins.
func resetSector() []byte {
	disk := make([]byte, 1<<20)
	copy(disk, []byte{0xea, 0xf0, 0xff, 0x00, 0xf0}) // ljmp $0xf000, $0xfff0
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// node is the node of a machine, for whose ramdisk Ironic has waited for a quarter of an hour.
func node(name, mac, images, params string) ironictest.Node {
	return ironictest.Node{
		UUID: uuidOf(mac), Name: name, ProvisionState: "wait call-back", ProvisionUpdatedAt: time.Now().Add(-15 * time.Minute),
		Properties: map[string]any{"cpu_arch": "x86_64"},
		DriverInfo: map[string]any{"deploy_kernel": images + "/" + name + ".kernel", "deploy_ramdisk": images + "/" + name + ".initramfs",
			"kernel_append_params": params},
		InstanceInfo:       map[string]any{"image_source": images + "/instance.qcow2", "root_gb": 10},
		DriverInternalInfo: map[string]any{"is_whole_disk_image": true},
		Ports:              []ironictest.Port{{Address: mac}},
	}
}

func uuidOf(mac string) string {
	return fmt.Sprintf("6d4c7e01-1f00-4000-8000-%012s", mac[len(mac)-2:])
}

// images starts the web server of all nodes' images.
func images(guest *qemu.Guest) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch name := strings.TrimPrefix(r.URL.Path, "/"); {
		case name == "loops.kernel":
			serve(w, r, []byte(resetScript))
		case name == "loops.initramfs":
			serve(w, r, []byte(strings.Repeat("-", 512)))
		case name == "stalled.initramfs":
			stall(w, r)
		case strings.HasSuffix(name, ".kernel"):
			http.ServeFile(w, r, guest.Kernel)
		case strings.HasSuffix(name, ".initramfs"):
			http.ServeFile(w, r, guest.Ramdisk)
		default:
			http.NotFound(w, r)
		}
	}))
}

func serve(w http.ResponseWriter, r *http.Request, content []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", `"`+r.URL.Path+`"`)
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
}

// stall serves a file of which no byte after stallAt ever comes.
func stall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", `"`+r.URL.Path+`"`)
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), &stallingFile{bytes.NewReader(make([]byte, stallSize)), w, r})
}

// stallingFile is read up to stallAt. Who reads on gets nothing until the client has gone.
type stallingFile struct {
	*bytes.Reader
	w http.ResponseWriter
	r *http.Request
}

func (f *stallingFile) Read(b []byte) (int, error) {
	left := stallAt - (stallSize - f.Len())
	if left > 0 {
		return f.Reader.Read(b[:min(left, len(b))])
	}
	if err := http.NewResponseController(f.w).Flush(); err != nil {
		return 0, err
	}
	<-f.r.Context().Done()
	return 0, f.r.Context().Err()
}
