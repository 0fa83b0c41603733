// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func stopCaddy(t *testing.T) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}

// stubborn is a body that does not end before it is told to, even when it is closed.
type stubborn struct{ release chan struct{} }

func (s stubborn) Read([]byte) (int, error) {
	<-s.release
	return 0, errors.New("closed")
}

func (s stubborn) Close() error { return nil }

func (s stubborn) Open(context.Context, cache.Ask) (*cache.Part, error) {
	return nil, errors.New("no more")
}

// holder is a handler of which there is no more than what has a store.
func holder(t *testing.T, dir string) (*Handler, generation) {
	t.Helper()
	h := new(Handler)
	minFree := int64(0)
	if err := h.acquireStore(&config{store: Store{Directory: dir, MaxSize: 1 << 30, MinFree: &minFree, Block: 1 << 20, Parallel: 4}}); err != nil {
		t.Fatal(err)
	}
	return h, generation{h, h.storeOptions, slog.DiscardHandler}
}

// TestStoreComesBackWhileItCloses takes a store that another configuration has just given back, and that is still being
// closed: a new one found the directory locked. Nothing else waits for the closing.
func TestStoreComesBackWhileItCloses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	old, g := holder(t, dir)
	if err := old.storage.open(g); err != nil {
		t.Fatal(err)
	}
	body := stubborn{make(chan struct{})}
	o, err := old.storage.opened().Create(disk.New{Key: "key", Info: []byte(`{}`), Origin: body,
		Part: &cache.Part{Size: 1 << 20, Length: 1 << 20, Body: body, Header: http.Header{}}})
	if err != nil {
		t.Fatal(err)
	}
	o.Release()
	ends := make(chan error)
	go func() { ends <- old.releaseStore() }()
	for old.storage.opened() != nil { // it is not given out any more
		runtime.Gosched()
	}
	next, g := holder(t, dir)
	if next.storage.shared() != nil {
		t.Error("a store that is being closed is given out")
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.stores)
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	opened := make(chan error)
	go func() { opened <- next.storage.open(g) }()
	select {
	case err := <-opened:
		t.Fatalf("the store is opened while it is closed, or cannot be: %v", err)
	case err := <-ends:
		t.Fatalf("the store is closed before its fill has ended: %v", err)
	default:
	}
	close(body.release)
	if err := errors.Join(<-ends, <-opened); err != nil {
		t.Fatal(err)
	}
	last, g := holder(t, dir) // a reload
	if err := last.storage.open(g); err != nil {
		t.Fatal(err)
	}
	store := last.storage.opened()
	if err := next.releaseStore(); err != nil {
		t.Error(err)
	}
	if store == nil || last.storage.opened() != store {
		t.Error("the store is closed though it is used")
	}
	if err := last.releaseStore(); err != nil {
		t.Error(err)
	}
	if n, ok := stores.References(dir); ok {
		t.Errorf("%d references are left", n)
	}
}

// TestNewestGenerationRules starts a configuration beside another one, and takes it back.
func TestNewestGenerationRules(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	var texts [2]bytes.Buffer
	var handlers [2]*Handler
	for i := range handlers {
		h, g := holder(t, dir)
		handlers[i] = h
		g.log = slog.NewTextHandler(&texts[i], nil)
		g.options.block <<= i
		g.options.maxSize >>= i
		if err := h.storage.open(g); err != nil {
			t.Fatal(err)
		}
	}
	s := handlers[0].storage
	derived := slog.New(s.log).With("a", 1).WithGroup("g").With("b", 2)
	derived.Info("one")
	if !strings.Contains(texts[1].String(), "msg=one a=1 g.b=2") || strings.Contains(texts[0].String(), "one") {
		t.Errorf("the older log has %q, the newer one %q", &texts[0], &texts[1])
	}
	if !strings.Contains(texts[1].String(), "block has changed") {
		t.Errorf("the newer log tells nothing of its block: %q", &texts[1])
	}
	if n := s.opened().Block(); n != 2<<20 {
		t.Errorf("the block is %d", n)
	}
	if n := s.opened().Stats().MaxBytes; n != 1<<30 {
		t.Errorf("while there are two configurations the limit is %d", n)
	}
	s.left(handlers[1])
	derived.Info("two")
	if !strings.Contains(texts[0].String(), "msg=two a=1 g.b=2") || s.opened().Block() != 1<<20 {
		t.Errorf("a configuration that could not start rules on: block %d, log %q", s.opened().Block(), &texts[0])
	}
	for _, h := range handlers {
		s.left(h)
		if err := h.releaseStore(); err != nil {
			t.Error(err)
		}
	}
}

// TestOneLineForAll fetches by a mirror and as a node's image at once. Each had a line of its own.
func TestOneLineForAll(t *testing.T) {
	origin := newImageServer(t, image(200_000))
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer api.Close()
	address := freeAddress(t)
	if err := load(t, siteConfig(address, api.URL, "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t\tline_rate 1MB\n\t\t}",
		"mirror /one/ "+origin.URL, "mirror /two/ "+origin.URL)); err != nil {
		t.Fatal(err)
	}
	defer stopCaddy(t)
	var clients sync.WaitGroup
	begin := time.Now()
	for _, path := range []string{"/one/a", "/two/b", "/" + nodeUUID(1) + "/deploy_kernel"} {
		clients.Go(func() { download(t, "http://"+address+path) })
	}
	clients.Wait()
	if took := time.Since(begin); took < 500*time.Millisecond {
		t.Errorf("600 kB take %s over a line of 1 MB/s", took)
	}
}

// TestPrefetchOfTwoSites has two sites with stores and wishes of their own, and one more that shares a store.
func TestPrefetchOfTwoSites(t *testing.T) {
	origin := newImageServer(t, image(1000))
	api := ironictest.Start()
	defer api.Close()
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	site := func(dir string, names ...string) string {
		options := []string{"store " + dir + " {\n\t\t\tmin_free 0\n\t\t}"}
		prefetch := "prefetch"
		for _, name := range names {
			prefetch += " " + origin.URL + "/" + name
		}
		options = append(options, prefetch)
		return siteConfig(freeAddress(t), api.URL, options...)
	}
	config := site(dirs[0], "a", "b")
	for _, more := range []string{site(dirs[0], "b", "c"), site(dirs[1], "d")} {
		_, more, _ = strings.Cut(more, "\n}\n")
		config += more
	}
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer stopCaddy(t)
	want := map[string]float64{dirs[0] + " wanted": 3, dirs[0] + " there": 3, dirs[1] + " wanted": 1, dirs[1] + " there": 1}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.stores)
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		got := make(map[string]float64)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() != "ironic_edge_prefetch_images" {
				continue
			}
			for _, m := range family.GetMetric() {
				labels := make(map[string]string)
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				got[labels["store"]+" "+labels["state"]] = m.GetGauge().GetValue()
			}
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gauges are %v, want %v", got, want)
		}
	}
}
