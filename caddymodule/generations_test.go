// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/shared"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestStoreOfNamedRoute is about an edge that stands in a named route, which is in no server's list of routes.
func TestStoreOfNamedRoute(t *testing.T) {
	want := image(1 << 20)
	origin := newImageServer(t, want)
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer api.Close()
	address := freeAddress(t)
	config := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n}\n&(boot) {\n\tironic_edge {\n\t\tironic %s\n\t\tstore %s {\n\t\t\tmin_free 0\n\t\t}\n\t\tallow_origins %s\n\t}\n}\nhttp://%s {\n\tinvoke boot\n}\n",
		api.URL, filepath.Join(t.TempDir(), "store"), origin.URL, address)
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	if response, got := download(t, "http://"+address+"/"+nodeUUID(1)+"/deploy_ramdisk"); response.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("%s, %d bytes, want the image's %d", response.Status, len(got), len(want))
	}
}

// TestFailedReloadKeepsTheStore is about a configuration that would make the store smaller but cannot start, since its
// other site has no address: what the running one kept must stay.
func TestFailedReloadKeepsTheStore(t *testing.T) {
	want := image(5 << 20)
	origin := newImageServer(t, want)
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer api.Close()
	address := freeAddress(t)
	store := filepath.Join(t.TempDir(), "store")
	config := func(size, other string) string {
		return siteConfig(address, api.URL, "store "+store+" {\n\t\t\tmin_free 0\n\t\t\tmax_size "+size+"\n\t\t}", "allow_origins "+origin.URL) + other
	}
	if err := load(t, config("100MiB", "")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	limit := func() int64 {
		value, _, _ := stores.LoadOrNew(store, nil)
		defer func() { _, _ = stores.Delete(store) }()
		return value.(*storage).store.Stats().MaxBytes
	}
	get := func() {
		t.Helper()
		if _, got := download(t, "http://"+address+"/"+nodeUUID(1)+"/deploy_ramdisk"); !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want the image's %d", len(got), len(want))
		}
	}
	get()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// Apps start in no order: in some of these the store's has started when the servers fail.
	for range 8 {
		if err := load(t, config("2MiB", "http://"+taken.Addr().String()+" {\n\trespond hello\n}\n")); err == nil {
			t.Fatal("an address that is taken is listened at")
		}
	}
	before := origin.bytes.Load()
	get()
	if n := origin.bytes.Load() - before; n != 0 {
		t.Errorf("after a reload that failed %d bytes are fetched again", n)
	}
	if n := limit(); n != 100<<20 {
		t.Errorf("after a reload that failed the limit is %d, want %d", n, 100<<20)
	}
	if err := load(t, config("2MiB", "")); err != nil {
		t.Fatal(err)
	}
	if n := limit(); n != 2<<20 {
		t.Errorf("after a reload the limit is %d, want %d", n, 2<<20)
	}
}

// TestStoreOfTwoSizes is about two sites that share a directory and do not agree about it: which of them would rule is
// chance.
func TestStoreOfTwoSizes(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	first := siteConfig(freeAddress(t), "http://127.0.0.1:1", "store "+store+" {\n\t\t\tmin_free 0\n\t\t\tmax_size 2GiB\n\t\t}")
	second := siteConfig(freeAddress(t), "http://127.0.0.1:1", "store "+store+" {\n\t\t\tmin_free 0\n\t\t\tmax_size 1GiB\n\t\t}")
	_, second, _ = strings.Cut(second, "\n}\n")
	err := load(t, first+second)
	if err == nil {
		_ = caddy.Stop()
	}
	if err == nil || !strings.Contains(err.Error(), store) {
		t.Errorf("error %v, want one that names %s", err, store)
	}
}

// TestPrefetchBesideABadNode is about an inventory in which one node cannot be used: the images of the others are pinned
// all the same, and Ironic is not asked for all of its nodes every few seconds because of it.
func TestPrefetchBesideABadNode(t *testing.T) {
	origin := newImageServer(t, image(1000))
	fleet := ironictest.DemoFleet(origin.URL)
	fleet[2].DriverInfo = map[string]any{"deploy_kernel": 5}
	api := ironictest.Start(fleet...)
	defer api.Close()
	client, err := ironic.New(t.Context(), ironic.Config{Endpoint: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	h := &Handler{client: client, logger: zap.NewNop(), prefetchRefs: []string{wholeInventory}}
	wanted, err := h.prefetchWanted(t.Context())
	if len(wanted) == 0 || err != nil {
		t.Errorf("%d images, %v; want those of the other nodes", len(wanted), err)
	}
}

// TestPinnedVariant is about an origin that names Vary, as most do that can compress: what it sends is kept under a key of
// its own, and must stay all the same when the store is full.
func TestPinnedVariant(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Etag", fmt.Sprintf("%q", r.URL.Path))
		http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(image(2<<20)))
	}))
	defer origin.Close()
	store, err := disk.Open(t.TempDir(), disk.Options{MaxSize: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := &Handler{storage: &storage{store: store, cache: shared.New(store)}, metrics: collectors, logger: zap.NewNop()}
	defer h.storage.cache.Close()
	if err := h.newOrigins(&config{allow: []string{origin.URL}}); err != nil {
		t.Fatal(err)
	}
	fetch := func(name string) string {
		t.Helper()
		target, err := h.imageTarget(origin.URL+name, h.files.check("", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.prefetchOne(t.Context(), h.storage.shared(), target, false); err != nil {
			t.Fatal(err)
		}
		return target.Key
	}
	pinned := fetch("/agent")
	h.storage.pin(h, []string{pinned})
	for i := range 4 {
		fetch(fmt.Sprintf("/%d", i))
	}
	for key := range store.Keys() {
		if strings.HasPrefix(key, pinned) {
			return
		}
	}
	t.Errorf("what is pinned was evicted; there are %d others", len(store.Keys()))
}
