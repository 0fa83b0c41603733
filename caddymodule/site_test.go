// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// until waits for a condition.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 seconds: not %s", what)
		}
	}
}

// status asks for a node's script, and returns the status and the reason code.
func status(t *testing.T, address string, n int) (int, string) {
	t.Helper()
	response, err := http.Get("http://" + address + "/pxelinux.cfg/" + nodeMAC(n))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header.Get(reasonHeader)
}

// runningSite is the inventory of the configuration that runs.
func runningSite(t *testing.T) *roster {
	t.Helper()
	var found *roster
	sites.Range(func(_, value any) bool {
		if all := value.(*site).allRosters(); len(all) > 0 {
			found = all[0]
		}
		return true
	})
	if found == nil {
		t.Fatal("no configuration has a site")
	}
	return found
}

// TestSiteOutlivesReloads reloads, restarts, and takes Ironic away: nodes that never booted are served.
func TestSiteOutlivesReloads(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := func(interval string) string {
		return siteConfig(address, api.URL, "answer_deadline 50ms", "site {\n\t\t\tconductor_group rack17\n\t\t\tinterval "+interval+"\n\t\t}")
	}
	if err := load(t, config("1h")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	first := runningSite(t)
	<-first.Told()
	lists := api.Calls("nodes")
	for range 3 {
		if err := load(t, config("30m")); err != nil {
			t.Fatal(err)
		}
	}
	if r := runningSite(t); r != first || len(r.users) != 1 || r.users[0].settings.Interval != 30*time.Minute {
		t.Errorf("after a reload: the same inventory %v, users %d; want it, at the new interval", r == first, len(r.users))
	}
	if n := api.Calls("nodes"); n != lists {
		t.Errorf("%d lists for three reloads, want none", n-lists)
	}
	var files []string
	until(t, "written down once", func() bool { // which comes after it is told of
		files, _ = filepath.Glob(filepath.Join(caddy.AppDataDir(), directive, "inventory-*.json"))
		return len(files) == 1
	})
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("snapshot %v, %v", info.Mode(), err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if sitesHeld() != 0 {
		t.Error("a site is left after the end")
	}
	api.Stop()
	if err := load(t, config("1h")); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{1: http.StatusOK, 6: http.StatusOK, 7: http.StatusServiceUnavailable, 9: http.StatusServiceUnavailable} {
		if code, reason := status(t, address, n); code != want || code == http.StatusOK && reason != reasonStale {
			t.Errorf("node %d after a restart without Ironic: %d %s, want %d", n, code, reason, want)
		}
	}
	if err := api.Resume(); err != nil {
		t.Fatal(err)
	}
	until(t, "served with Ironic", func() bool { code, _ := status(t, address, 7); return code == http.StatusOK })
}

// TestSiteOfAFailedReload is about a configuration with another part of the nodes that cannot start: the inventory of the
// running one goes on, and no other is left.
func TestSiteOfAFailedReload(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := func(part, other string) string {
		return siteConfig(address, api.URL, "site {\n\t\t\t"+part+"\n\t\t\tsnapshot off\n\t\t}") + other
	}
	if err := load(t, config("conductor_group rack17", "")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	first := runningSite(t)
	<-first.Told()
	for range 4 { // apps start in no order
		if err := load(t, config("all", "http://"+api.URL[len("http://"):]+" {\n\trespond hello\n}\n")); err == nil {
			t.Fatal("an address that is taken is listened at")
		}
		if err := load(t, config("conductor_group rack17\n\t\t\tinterval 7m", "http://"+api.URL[len("http://"):]+" {\n\trespond hello\n}\n")); err == nil {
			t.Fatal("an address that is taken is listened at")
		}
	}
	if r := runningSite(t); r != first || len(r.users) != 1 || r.users[0].settings.Interval != defaultInterval || r.stop == nil {
		t.Errorf("after reloads that failed: %+v", r)
	}
	if err := load(t, config("all", "")); err != nil {
		t.Fatal(err)
	}
	until(t, "the other part's inventory alone", func() bool { r := runningSite(t); return r != first && r.scope.String() == "all" })
}

// TestSiteMetrics reads the inventory's metrics.
func TestSiteMetrics(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	if err := load(t, siteConfig(freeAddress(t), api.URL, "site {\n\t\t\tall\n\t\t\tsnapshot off\n\t\t}")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	<-runningSite(t).Told()
	registry := prometheus.NewRegistry()
	if _, err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	until(t, "in the metrics", func() bool {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := make(map[string]float64)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					if slices.Contains([]string{"kind", "outcome", "resource", "site"}, l.GetName()) {
						name += " " + l.GetValue()
					}
				}
				values[strings.TrimPrefix(name, "ironic_edge_inventory_")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		return values["nodes all"] == 13 && values["addresses all"] == 13 && values["age_seconds all"] >= 0 &&
			values["readings_total full ok"] >= 1 && values["calls_total nodes"] >= 1 && values["calls_total ports"] >= 1
	})
}

// TestPrefetchOfASite wants the images of the site's nodes, without another list.
func TestPrefetchOfASite(t *testing.T) {
	origin := newImageServer(t, image(1000))
	fleet := ironictest.DemoFleet(origin.URL)
	fleet[6].ConductorGroup = "rack18" // the only one with this image
	api := ironictest.Start(fleet...)
	defer api.Close()
	if err := load(t, siteConfig(freeAddress(t), api.URL, "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t}",
		"prefetch inventory", "site {\n\t\t\tconductor_group rack17\n\t\t\tsnapshot off\n\t\t}")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	r := runningSite(t)
	<-r.Told()
	wanted, err := r.newest.Load().prefetchWanted(t.Context())
	refs := make(map[string]bool)
	for image := range wanted {
		refs[image.ref] = true
	}
	if err != nil || !refs[origin.URL+"/ipa.kernel"] || refs[origin.URL+"/instance.kernel"] {
		t.Errorf("%v, %v; want the images of the site's nodes", wanted, err)
	}
	if n := api.Calls("nodes"); n != 1 {
		t.Errorf("%d lists, want that of the inventory", n)
	}
}
