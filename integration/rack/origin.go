// SPDX-License-Identifier: Apache-2.0

package rack

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
)

// StallSize is the length of the ramdisk that stands still, and StallAt how much of it comes, unless Let says otherwise.
const StallSize, StallAt = 8 << 20, 3 << 20

// resetScript is a kernel for the firmware, which may be a script of its own: it resets the machine without delay.
const resetScript = "#!ipxe\nreboot\n"

// Origin is the web server of all nodes' images. Those of the nodes "stalled" and "loops" are as these are called, all
// others those of the guest.
type Origin struct {
	*httptest.Server
	guest *qemu.Guest

	mu      sync.Mutex
	comes   int           // of the ramdisk that stands still
	more    chan struct{} // closed and made anew when that grows
	queries map[string]bool
	texts   map[string]string // by path
}

func startOrigin(guest *qemu.Guest) *Origin {
	o := &Origin{guest: guest, comes: StallAt, more: make(chan struct{}), queries: make(map[string]bool), texts: make(map[string]string)}
	o.Server = httptest.NewServer(o)
	return o
}

// Let has so many bytes of the ramdisk come before it stands still.
func (o *Origin) Let(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.comes = bytes
	close(o.more)
	o.more = make(chan struct{})
}

// Put has a text at a path, such as a script at a conductor's.
func (o *Origin) Put(path, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.texts[path] = text
}

// Asked reports whether an image was asked for with a query.
func (o *Origin) Asked(query string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queries[query]
}

func (o *Origin) coming() (int, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.comes, o.more
}

// ServeHTTP serves the images.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.queries[r.URL.RawQuery] = true
	text, there := o.texts[r.URL.Path]
	o.mu.Unlock()
	if there {
		_, _ = w.Write([]byte(text)) // the client is gone
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, "/"); {
	case name == "loops.kernel":
		serve(w, r, bytes.NewReader([]byte(resetScript)))
	case name == "loops.initramfs":
		serve(w, r, bytes.NewReader(bytes.Repeat([]byte("-"), 512)))
	case name == "stalled.initramfs":
		serve(w, r, &stallingFile{bytes.NewReader(make([]byte, StallSize)), o, w, r})
	case strings.HasSuffix(name, ".kernel"):
		http.ServeFile(w, r, o.guest.Kernel)
	case strings.HasSuffix(name, ".initramfs"):
		http.ServeFile(w, r, o.guest.Ramdisk)
	default:
		http.NotFound(w, r)
	}
}

func serve(w http.ResponseWriter, r *http.Request, content io.ReadSeeker) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", `"`+r.URL.Path+`"`)
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), content)
}

// stallingFile is read as far as its origin lets it come. Who reads on gets nothing until more comes or the client has gone.
type stallingFile struct {
	*bytes.Reader
	origin *Origin
	w      http.ResponseWriter
	r      *http.Request
}

func (f *stallingFile) Read(b []byte) (int, error) {
	for {
		comes, more := f.origin.coming()
		if left := comes - (StallSize - f.Len()); left > 0 {
			return f.Reader.Read(b[:min(left, len(b))])
		}
		if err := http.NewResponseController(f.w).Flush(); err != nil {
			return 0, err
		}
		select {
		case <-more:
		case <-f.r.Context().Done():
			return 0, f.r.Context().Err()
		}
	}
}
