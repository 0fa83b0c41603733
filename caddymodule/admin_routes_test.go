// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// twoEdges is a configuration with an edge that has a store and an inventory, and one before another Ironic with neither.
func twoEdges(t *testing.T, first, second *ironictest.Server, options ...string) (config, address, other string) {
	t.Helper()
	address, other = freeAddress(t), freeAddress(t)
	options = append(options, "public_url http://"+address, "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t}",
		"site {\n\t\t\tall\n\t\t\tsnapshot off\n\t\t}")
	return siteConfig(address, first.URL, options...) + fmt.Sprintf("http://%s {\n\tironic_edge {\n\t\tironic %s\n\t}\n\treverse_proxy %[2]s\n}\n", other, second.URL), address, other
}

// askScript asks for a machine's script as its firmware does: that begins a boot.
func askScript(t *testing.T, address, mac string) string {
	t.Helper()
	_, script := download(t, "http://"+address+"/pxelinux.cfg/"+mac, "User-Agent: iPXE/1.21.1+")
	return string(script)
}

// TestAdminRoutes asks each route, of all edges, of each by its name, and of one that is not there.
func TestAdminRoutes(t *testing.T) {
	origin := newImageServer(t, image(200_000))
	first := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer first.Close()
	fleet := ironictest.DemoFleet(origin.URL)
	fleet[0].UUID, fleet[0].Name, fleet[0].Ports[0].Address = "6d4c7e01-1800-4000-8000-000000000001", "rack18-n01", "52:54:00:18:00:01"
	second := ironictest.Start(fleet[0])
	defer second.Close()
	config, address, other := twoEdges(t, first, second, "allow_origins "+origin.URL)
	a := administer(t, config)
	<-runningSite(t).Told()
	askScript(t, address, nodeMAC(3))
	askScript(t, other, "52-54-00-18-00-01")
	askScript(t, address, "52-54-00-00-00-99")
	if status, text := a.say(t, `POST prefetch {"image": "`+origin.URL+`/ipa.kernel"}`); status != http.StatusOK {
		t.Fatal(text)
	}

	unnamed := ""
	for _, e := range tell[api.Status](t, a, "GET status").Edges {
		if e.Name != "http://"+address {
			unnamed = url.QueryEscape(e.Name)
		}
	}
	for _, tt := range []struct {
		question string
		status   int
		want     string
	}{
		{"GET status?edge=" + unnamed, 200, `"ironic":{`},
		{"GET status?edge=http://" + address, 200, `"store":{`},
		{"GET nodes", 200, `"name":"rack18-n01"`},
		{"GET nodes?edge=http://" + address, 200, `"provision_state":"defragmenting"`},
		{"GET silent", 200, `[`},
		{"GET silent?edge=" + unnamed, 200, "[]\n"},
		{"GET unknown", 200, `"mac":"52:54:00:00:00:99"`},
		{"GET unknown?edge=" + unnamed, 200, "[]\n"},
		{"GET images", 200, `"keys":["image ` + origin.URL + `/ipa.kernel"]`},
		{"GET images?edge=" + unnamed, 200, "[]\n"},
		{"GET boots", 200, `"name":"rack18-n01"`},
		{"GET boots?node=RACK17-n03", 200, `"node":"` + nodeUUID(3) + `"`},
		{"GET boots?node=52-54-00-17-00-03", 200, `"node":"` + nodeUUID(3) + `"`},
		{"GET boots?node=" + nodeUUID(3) + "&edge=" + unnamed, 404, `"reason":"no_node"`},
		{"GET boots?node=nobody", 404, `"reason":"no_node"`},
		{"GET explain?node=rack17-n03", 200, `"kind":"deploy"`},
		{"GET explain?node=" + strings.ToUpper(nodeUUID(6)), 200, `"kind":"boot_whole_disk"`},
		{"GET explain?node=52:54:00:18:00:01", 200, "rack18-n01"},
		{"GET explain?node=52:54:00:18:00:01&edge=http://" + address, 404, `"reason":"no_node"`},
		{"GET explain", 400, `"reason":"query"`},
		{"GET explain?node=nobody", 404, `"reason":"no_node"`},
		{"GET diff?node=rack17-n03", 422, `"reason":"no_conductor"`},
		{"GET doctor?edge=" + unnamed, 200, `"name":"store","result":"skipped"`},
		{"GET doctor", 200, `"name":"public url","result":"good"`},
		{"POST scrub", 200, `"end":true`},
		{"POST scrub?edge=" + unnamed, 422, `"reason":"no_store"`},
		{`POST prefetch?edge=` + unnamed + ` {"image":"` + origin.URL + `/ipa.kernel"}`, 422, `"reason":"no_store"`},
		{`POST prefetch {"image":"file:///nowhere"}`, 422, `image_map`},
		{`POST purge {"image":"nothing"}`, 404, `"reason":"no_object"`},
		{`POST purge {"image":""}`, 400, `"reason":"body"`},
		{"POST purge no", 400, `"reason":"body"`},
		{`POST purge {"node":"rack17-n03"}`, 400, `"reason":"body"`},
		{`POST refresh {"node":"rack17-n03","image":"x"}`, 400, `"reason":"body"`},
		{`POST refresh {"node":"` + strings.Repeat("x", 70_000) + `"}`, 400, `"reason":"body"`},
		{`POST refresh {"node":"rack17-n03"}`, 200, "{}"},
		{`POST refresh {"node":"nobody"}`, 404, `"reason":"no_node"`},
		{"GET nothing", 404, `"reason":"path"`},
		{"GET status/", 404, `"reason":"path"`},
		{"GET ", 404, `"reason":"path"`},
		{"GET status?edge=nobody", 404, `"reason":"no_edge"`},
	} {
		status, text := a.say(t, tt.question)
		if status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %d, want %d and %s in\n%s", tt.question, status, tt.status, tt.want, text)
		}
		var said api.Error
		if status != http.StatusOK && (json.Unmarshal([]byte(text), &said) != nil || said.Text == "" || said.Reason == "") {
			t.Errorf("%s: an error without text or reason: %s", tt.question, text)
		}
	}

	for path, route := range adminRoutes {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			if method == route.method {
				continue
			}
			response, err := a.ask(t.Context(), method+" "+path)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if allowed := response.Header.Get("Allow"); response.StatusCode != http.StatusMethodNotAllowed || allowed != route.method {
				t.Errorf("%s %s: %d, Allow %q", method, path, response.StatusCode, allowed)
			}
		}
	}

	status := tell[api.Status](t, a, "GET status")
	slices.SortFunc(status.Edges, func(e, _ api.Edge) int {
		if e.Name == "http://"+address {
			return -1
		}
		return 1
	})
	if n := status.Edges[1].Stages; len(n) != 1 || n["kernel"] != 1 {
		t.Errorf("boots under way of the second edge: %v, want its own one", n)
	}
	if n := status.Edges[1].Boots; len(n) != 1 || n["running"]+n["waiting"] > 1 {
		t.Errorf("boots of the second edge: %v, want its own one", n)
	}
	if r := status.Edges[0].Refusals; len(r) != 1 || r[0].Reason != "no_node" || r[0].Client != "127.0.0.1" || len(status.Edges[1].Refusals) != 0 {
		t.Errorf("refusals %+v and %+v", r, status.Edges[1].Refusals)
	}
	if i := status.Edges[0].Inventory; i == nil || i.Nodes != 13 || i.Scope != "all" || status.Edges[0].Store.Objects != 1 {
		t.Errorf("inventory %+v, store %+v", i, status.Edges[0].Store)
	}

	// A node that one Ironic may have while it is gone is not told to be nowhere.
	first.Stop()
	if code, text := a.say(t, "GET explain?node=52:54:00:00:00:77"); code != http.StatusServiceUnavailable {
		t.Errorf("while an Ironic is gone: %d %s", code, text)
	}
}

// TestRefreshOfANode wants the next script to ask Ironic, and the one before not.
func TestRefreshOfANode(t *testing.T) {
	ironicAPI := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer ironicAPI.Close()
	address := freeAddress(t)
	a := administer(t, siteConfig(address, ironicAPI.URL, "node_ttl 1h"))
	script := "http://" + address + "/pxelinux.cfg/" + nodeMAC(6)
	before := askScript(t, address, nodeMAC(6)) // which makes its name known
	ironicAPI.SetProvisionState(nodeUUID(6), "clean wait")
	if ask(t, http.DefaultClient, script) != before {
		t.Error("what is known for an hour has changed")
	}
	if status, text := a.say(t, `POST refresh {"node": "rack17-n06"}`); status != http.StatusOK {
		t.Error(text)
	}
	until(t, "told of the new state", func() bool { return strings.Contains(ask(t, http.DefaultClient, script), "deploy_kernel") })
}

// TestStreamFollowsReloads reads the feed of boots over reloads of the configuration.
func TestStreamFollowsReloads(t *testing.T) {
	one := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer one.Close()
	two := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer two.Close()
	address := freeAddress(t)
	a := administer(t, siteConfig(address, one.URL))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	response, err := a.ask(ctx, "GET boots/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	told := make(chan string)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(told)
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "data: ") {
				select {
				case told <- lines.Text():
				case <-ctx.Done():
				}
			}
		}
	})
	askScript(t, address, nodeMAC(3))
	if _, ok := <-told; !ok {
		t.Fatal("the feed tells of no boot")
	}
	a.reload(t, siteConfig(address, two.URL)) // another Ironic's boots
	askScript(t, address, nodeMAC(3))
	if _, ok := <-told; !ok {
		t.Error("the feed ends with the configuration")
	}
	cancel()
	reader.Wait()
}

// TestAdminUnderReloads asks everything while configurations come and go.
func TestAdminUnderReloads(t *testing.T) {
	origin := newImageServer(t, image(100_000))
	ironicAPI := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer ironicAPI.Close()
	config, address, _ := twoEdges(t, ironicAPI, ironicAPI, "allow_origins "+origin.URL)
	config = strings.Replace(config, "\tironic_edge {\n", "\tironic_edge_status\n\tironic_edge {\n", 1)
	a := administer(t, config)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for _, question := range []string{"GET status", "GET nodes", "GET boots", "GET images", "GET explain?node=" + nodeUUID(3), "GET doctor", "POST scrub",
		`POST refresh {"node":"` + nodeUUID(3) + `"}`, `POST prefetch {"image":"` + origin.URL + `/ipa.kernel"}`, `POST purge {"image":"` + origin.URL + `/ipa.kernel"}`} {
		clients.Go(func() {
			for ctx.Err() == nil {
				response, err := a.ask(ctx, question) // an admin server that ends may refuse
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode >= 500 && response.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s: %d", question, response.StatusCode)
				}
			}
		})
	}
	for i := range 8 {
		a.reload(t, strings.Replace(config, "public_url", fmt.Sprintf("ipxe_timeout %ds\n\t\tpublic_url", i+1), 1))
		ask(t, http.DefaultClient, "http://"+address+"/edge/")
	}
	stop()
	clients.Wait()
}
