// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
		w.Header().Set("Etag", `"1"`)
		counted := &countingWriter{ResponseWriter: w}
		http.ServeContent(counted, r, "image", time.Now().Add(-time.Hour), bytes.NewReader(image))
		s.bytes.Add(counted.n)
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
