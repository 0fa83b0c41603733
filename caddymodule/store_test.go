// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// imageServer serves an image under any name and counts.
type imageServer struct {
	*httptest.Server
	requests, bytes atomic.Int64
}

func newImageServer(t *testing.T, image []byte) *imageServer {
	s := new(imageServer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		w.Header().Set("Etag", `"`+r.URL.Path+`"`)
		counted := &countingWriter{ResponseWriter: w}
		http.ServeContent(counted, r, "image", time.Now().Add(-time.Hour), bytes.NewReader(image))
		s.bytes.Add(counted.n.Load())
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func image(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func download(t *testing.T, url string, fields ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s ends after %d bytes: %v", url, len(body), err)
	}
	return response, body
}

// TestStore boots a rack from one copy of a ramdisk, reloads, starts anew, and mirrors.
func TestStore(t *testing.T) {
	want := image(5<<20 + 77)
	origin := newImageServer(t, want)
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer api.Close()
	address := freeAddress(t)
	store := filepath.Join(t.TempDir(), "store")
	config := func(extra string) string {
		return siteConfig(address, api.URL, "store "+store+" {\n\t\t\tmin_free 0\n\t\t}", "mirror /agent_images/ "+origin.URL+"/published", extra)
	}
	if err := load(t, config("")); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = caddy.Stop()
		}
	}()
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			uuid := nodeUUID(1 + i%3) // nodes whose ramdisk is the same
			if _, got := download(t, "http://"+address+"/"+uuid+"/deploy_ramdisk"); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want the image's %d", len(got), len(want))
			}
		})
	}
	clients.Wait()
	if n := origin.bytes.Load(); n != int64(len(want)) {
		t.Errorf("%d bytes crossed the line for one ramdisk of %d", n, len(want))
	}

	if err := load(t, config("ipxe_timeout 5s")); err != nil {
		t.Fatal(err)
	}
	before := origin.bytes.Load()
	response, got := download(t, "http://"+address+"/"+nodeUUID(1)+"/deploy_ramdisk", "Range: bytes=-77")
	if response.StatusCode != http.StatusPartialContent || !bytes.Equal(got, want[5<<20:]) || origin.bytes.Load() != before {
		t.Errorf("after a reload: %s, %d bytes, %d from the origin", response.Status, len(got), origin.bytes.Load()-before)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(store, "objects")); err != nil {
		t.Fatal(err)
	}
	if err := load(t, config("")); err != nil {
		t.Fatal(err)
	}
	if _, got := download(t, "http://"+address+"/"+nodeUUID(2)+"/deploy_ramdisk"); !bytes.Equal(got, want) || origin.bytes.Load() != before {
		t.Errorf("after a restart: %d bytes, %d from the origin", len(got), origin.bytes.Load()-before)
	}
	for _, name := range []string{"a%3Ab", "a:b"} {
		if _, got := download(t, "http://"+address+"/agent_images/"+name); !bytes.Equal(got, want) {
			t.Errorf("mirror: %d bytes, want the image's %d", len(got), len(want))
		}
	}
	for _, path := range []string{"/agent_images/a%2Fb", "/agent_images//b", "/agent_images/x/%2e%2e/b"} {
		if response, _ := download(t, "http://"+address+path); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s, want 400", path, response.Status)
		}
	}
	stopped = true
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}

// TestPrefetch has the images of all nodes in the store before their origin goes away.
func TestPrefetch(t *testing.T) {
	want := image(1<<20 + 5)
	origin := newImageServer(t, want)
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer api.Close()
	address := freeAddress(t)
	log := filepath.Join(t.TempDir(), "log")
	config := siteConfig(address, api.URL, "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t}", "prefetch inventory", "allow_origins "+origin.URL)
	if err := load(t, strings.Replace(config, "admin off", "admin off\n\tlog {\n\t\toutput file "+log+"\n\t}", 1)); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	// agent, rescue, and instance images of a ramdisk, an ISO and an anaconda deployment
	const images = 2 + 2 + 2 + 1 + 3
	deadline := time.Now().Add(20 * time.Second)
	for there := 0; there < images; {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if there = strings.Count(string(text), "an image is in the store"); time.Now().After(deadline) {
			t.Fatalf("%d images are in the store, want %d:\n%s", there, images, text)
		}
		runtime.Gosched()
	}
	origin.CloseClientConnections()
	origin.Close()
	for path, node := range map[string]int{"deploy_ramdisk": 1, "rescue_kernel": 5, "boot_iso": 8, "kernel": 7} {
		if _, got := download(t, "http://"+address+"/"+nodeUUID(node)+"/"+path); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes without the origin, want %d", path, len(got), len(want))
		}
	}
}

func TestStoreIsOfOneProcess(t *testing.T) {
	api := ironictest.Start()
	defer api.Close()
	store := t.TempDir()
	if err := os.WriteFile(filepath.Join(store, "objects"), nil, 0o600); err != nil { // what else no store can be in
		t.Fatal(err)
	}
	err := load(t, siteConfig(freeAddress(t), api.URL, "store "+store))
	defer caddy.Stop()
	if err == nil || !strings.Contains(err.Error(), "option store") || !strings.Contains(err.Error(), store) {
		t.Errorf("load: %v, want an error that names option and directory", err)
	}
}
