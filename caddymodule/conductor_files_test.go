// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func TestConductorFiles(t *testing.T) {
	t.Parallel()
	h := &Handler{imageMap: map[string]string{"file:///shared/": "http://conductor:8088/root/", "file:///ipa/": "http://conductor:8088/root/ipa",
		"file:///": "http://elsewhere/"}, prefetchRefs: []string{"http://conductor:8088/root/own/agent", "http://conductor:8088/root/pxelinux.cfg/"}}
	own, other := nodeUUID(1), nodeUUID(2)
	files := h.newConductorFiles(&config{conductor: "http://conductor:8088/root"})
	for u, want := range map[string]bool{
		"/" + own + "/deploy_kernel":               true,
		"/" + own + "/LiveOS/squashfs.img":         true,
		"/" + own + "/ks.cfg":                      false,
		"/" + own + "/config":                      false,
		"/" + own:                                  true, // a directory: there is nothing in it
		"/" + other + "/deploy_kernel":             false,
		"/" + other + "/ks.cfg":                    false,
		"/" + other + "/config":                    false,
		"/" + strings.ToUpper(other) + "/kernel":   false,
		"/agent_images/" + own:                     true,
		"/agent_images/" + own + ".tar.gz":         true,
		"/agent_images/" + own + "0":               false,
		"/agent_images/" + other:                   false,
		"/agent_images/" + own + "/../" + other:    false,
		"/images/ironic-python-agent.kernel":       true,
		"/images/deep/" + someUUID:                 true,
		"/images/../" + other + "/ks.cfg":          false,
		"/images/%2e%2e/" + other + "/ks.cfg":      false,
		"/images/..%2f" + other + "/ks.cfg":        false,
		"/images/..;x/" + other + "/ks.cfg":        false,
		"//" + other + "/ks.cfg":                   false,
		"/" + own + "/../" + other + "/ks.cfg":     false,
		"/%" + "30" + other[1:] + "/ks.cfg":        false, // its first letter, escaped
		"/ipa.kernel":                              true,
		"/boot-" + own + ".iso":                    true,
		"/boot-" + other + ".iso":                  false,
		"/BOOT-" + strings.ToUpper(other) + ".ISO": false,
		"/redfish/boot-" + own + ".iso":            false,
		"/pxelinux.cfg/52-54-00-00-00-01":          false,
		"/pxelinux.cfg":                            true, // a directory
		"/ipa/kernel":                              true, // image_map's
		"/ipaq/kernel":                             false,
		"/own/agent":                               true, // prefetch's
		"/own/agent2":                              false,
		"/own/agent/../../" + other + "/kernel":    false,
		"/shared/" + other:                         false,
	} {
		parsed, err := url.Parse("HTTP://Conductor:08088/root" + u)
		if err != nil {
			t.Fatal(err)
		}
		if err := files.check(own, ipxe.DeployKernel)(parsed); (err == nil) != want {
			t.Errorf("%s: %v, want %t", u, err, want)
		}
	}
	for u, want := range map[string]bool{
		"http://conductor:8088/" + own + "/kernel": false, // not below conductor_http
		"http://conductor:8088/root2/ipa.kernel":   false,
		"http://conductor:8089/root/" + other:      true, // another origin
		"https://conductor:8088/root/" + other:     true,
		"http://elsewhere:8088/root/" + other:      true,
	} {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		if err := files.check(own, ipxe.DeployKernel)(parsed); (err == nil) != want {
			t.Errorf("%s: %v, want %t", u, err, want)
		}
	}
	if err := (conductorFiles{}).check(own, ipxe.DeployKernel)(&url.URL{Scheme: "http", Host: "conductor", Path: "/" + other}); err != nil {
		t.Errorf("without a conductor: %v", err)
	}
}

// TestReferenceToTheConductor has nodes whose references lead to the files that the conductor has for another node, by
// themselves and by a redirect.
func TestReferenceToTheConductor(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newEdge func(*ironictest.Server, func(*Handler)) *edge) {
		own, other := nodeUUID(8), nodeUUID(10)
		var mu sync.Mutex
		asked := make(map[string]bool)
		conductor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked[r.URL.Path] = true
			w.Write(imageBytes)
		}))
		t.Cleanup(conductor.Close)
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, conductor.URL+"/root"+r.URL.Path, http.StatusFound)
		}))
		t.Cleanup(elsewhere.Close)
		api := ironictest.Start(ironictest.DemoFleet("http://images.invalid")...)
		t.Cleanup(api.Close)
		e := newEdge(api, func(h *Handler) {
			h.ConductorHTTP, h.AllowOrigins = conductor.URL+"/root", []string{elsewhere.URL}
			h.ImageMap = map[string]string{"file:///shared/html/": conductor.URL + "/root/"}
		})
		counter := e.handler.metrics.refusals.WithLabelValues("502", reasonConductorFile)
		for path, allowed := range map[string]bool{
			"/" + own + "/own.iso":            true,
			"/images/public.iso":              true,
			"/" + own + "/config":             false,
			"/" + other + "/ks.cfg":           false,
			"/" + other + "/config":           false,
			"/pxelinux.cfg/52-54-00-00-00-01": false,
		} {
			for _, to := range []string{conductor.URL + "/root", elsewhere.URL, "file:///shared/html"} {
				mu.Lock()
				clear(asked)
				mu.Unlock()
				node := api.Nodes()[7]
				node.InstanceInfo["boot_iso"] = to + path
				api.SetNode(node)
				e.handler.site.forgetNode(node.UUID)
				before := counted(t, counter)
				got := e.get(t, "/"+own+"/boot_iso")
				mu.Lock()
				reached := asked["/root"+path]
				mu.Unlock()
				switch {
				case allowed && (got.status != http.StatusOK || got.body != string(imageBytes)):
					t.Errorf("%s%s: %d %s\n%.200s", to, path, got.status, got.header.Get(reasonHeader), got.body)
				case !allowed && (got.status != http.StatusBadGateway || got.header.Get(reasonHeader) != reasonConductorFile ||
					counted(t, counter) <= before || !strings.Contains(got.body, "image_map")):
					t.Errorf("%s%s: %d %s, want 502 %s, counted and with a remedy\n%.200s", to, path, got.status, got.header.Get(reasonHeader), reasonConductorFile, got.body)
				case !allowed && reached:
					t.Errorf("%s%s: the conductor was asked for it", to, path)
				}
			}
		}
		// What another node has brought into the store is not for this one.
		node := api.Nodes()[9]
		node.InstanceInfo["boot_iso"] = conductor.URL + "/root/" + other + "/kernel.iso"
		api.SetNode(node)
		if got := e.get(t, "/"+other+"/boot_iso"); got.status != http.StatusOK {
			t.Errorf("the other's own file: %d %s", got.status, got.header.Get(reasonHeader))
		}
		thief := api.Nodes()[7]
		thief.InstanceInfo["boot_iso"] = node.InstanceInfo["boot_iso"]
		api.SetNode(thief)
		e.handler.site.forgetNode(own)
		if got := e.get(t, "/"+own+"/boot_iso"); got.header.Get(reasonHeader) != reasonConductorFile {
			t.Errorf("the other's file for this node: %d %s", got.status, got.header.Get(reasonHeader))
		}
	})
}

// TestConductorUnderAnotherName has a node refer to the conductor by an address that the configuration does not name.
func TestConductorUnderAnotherName(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newEdge func(*ironictest.Server, func(*Handler)) *edge) {
		api := ironictest.Start(ironictest.Node{UUID: nodeUUID(1), ProvisionState: "deploying"})
		t.Cleanup(api.Close)
		e := newEdge(api, func(h *Handler) { h.ConductorHTTP = "http://192.0.2.7:8088" }) // nobody has it (RFC 5737)
		node, ref := api.Nodes()[0], "http://[::ffff:192.0.2.7]:8088/images/k"
		node.DriverInfo = map[string]any{"deploy_kernel": ref, "deploy_ramdisk": ref}
		api.SetNode(node)
		if got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel"); got.header.Get(reasonHeader) != reasonAddress {
			t.Errorf("%d %s, want %s\n%.200s", got.status, got.header.Get(reasonHeader), reasonAddress, got.body)
		}
	})
}

// TestPrefetchFromTheConductor has a node refer to the file of another that holds its token. It must not come to lie on the disk.
func TestPrefetchFromTheConductor(t *testing.T) {
	t.Parallel()
	own, other := nodeUUID(1), nodeUUID(2)
	h := &Handler{}
	if err := h.newOrigins(&config{conductor: "http://conductor"}); err != nil {
		t.Fatal(err)
	}
	defer h.closeOrigins()
	got := h.prefetchTargets(map[wantedImage]struct{}{
		{"http://conductor/" + own + "/kernel", own}:    {},
		{"http://conductor/" + own + "/kernel", other}:  {}, // whose right is not the other's
		{"http://conductor/" + other + "/ramdisk", own}: {},
		{"http://conductor/" + other + "/ks.cfg", own}:  {},
		{"http://conductor/images/k", ""}:               {},
		{"http://images/k", own}:                        {},
	})
	want := []string{"image http://conductor/" + own + "/kernel", "image http://conductor/images/k", "image http://images/k"}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
		t.Errorf("prefetched are %q, want %q", keys, want)
	}
}
