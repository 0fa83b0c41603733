// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestNodeByItsName looks for nodes that no inventory and no boot knows.
func TestNodeByItsName(t *testing.T) {
	ironic := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer ironic.Close()
	address := freeAddress(t)
	a := administer(t, siteConfig(address, ironic.URL, "node_ttl 1h", "negative_ttl 1h", "boots 1"))
	for range 2 {
		if e := tell[api.Explanation](t, a, "GET explain?node=rack17-n03"); e.Node.UUID != nodeUUID(3) || e.Kind != "deploy" || e.Node.Name != "rack17-n03" {
			t.Errorf("explain: %+v", e)
		}
	}
	if n := ironic.Calls("node"); n != 1 {
		t.Errorf("Ironic was asked for nodes %d times, want once", n)
	}
	if status, text := a.say(t, "GET boots?node=rack17-n03"); status != http.StatusNotFound || !strings.Contains(text, nodeUUID(3)+" has not asked this edge") || !strings.Contains(text, `"no_boot"`) {
		t.Errorf("boots of a node that never asked: %d %s", status, text)
	}
	for range 2 {
		for question, want := range map[string]string{"GET explain?node=nobody": "no node is called that", "GET boots?node=nobody": "Ironic knows no such node", "GET explain?node=detail": "no node is called that"} {
			if status, text := a.say(t, question); status != http.StatusNotFound || !strings.Contains(text, want) || !strings.Contains(text, `"no_node"`) {
				t.Errorf("%s: %d %s, want %q", question, status, text, want)
			}
		}
	}
	if n := ironic.Calls("node"); n != 2 {
		t.Errorf("Ironic was asked for nodes %d times, want once more", n)
	}

	// The boot has the name that the node had, and goes when another comes.
	download(t, "http://"+address+"/pxelinux.cfg/"+nodeMAC(3), "User-Agent: iPXE/1.21.1+")
	ironic.Update(nodeUUID(3), func(n *ironictest.Node) { n.Name = "renamed" })
	if b := tell[[]boots.Boot](t, a, "GET boots?node=renamed"); len(b) != 1 || b[0].Node != nodeUUID(3) {
		t.Errorf("boots by the new name: %+v", b)
	}
	download(t, "http://"+address+"/pxelinux.cfg/"+nodeMAC(2), "User-Agent: iPXE/1.21.1+")
	if status, text := a.say(t, "GET boots?node=renamed"); status != http.StatusNotFound || !strings.Contains(text, "was last seen 0 s ago") {
		t.Errorf("boots that are kept no more: %d %s", status, text)
	}
	for _, n := range tell[[]api.Node](t, a, "GET nodes") {
		if n.UUID != nodeUUID(2) || n.Asked.IsZero() {
			t.Errorf("the node %+v", n)
		}
	}
}

// TestNodeByItsNameWithoutIronic: an Ironic that is slow is waited for until answer_deadline, and then asked on, once for all;
// of one that is gone it is said what to do.
func TestNodeByItsNameWithoutIronic(t *testing.T) {
	api := ironictest.New(ironictest.DemoFleet("http://images.test")...)
	answer, asked := make(chan struct{}), new(atomic.Int64)
	ironic := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/nodes/") {
			asked.Add(1)
			<-answer
		}
		api.ServeHTTP(w, r)
	}))
	defer ironic.Close()
	config := siteConfig(freeAddress(t), ironic.URL, "answer_deadline 10ms", "node_ttl 1h")
	a := administer(t, strings.Replace(config, "ironic "+ironic.URL, "ironic "+ironic.URL+" {\n\t\t\ttimeout 1m\n\t\t}", 1))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, text := a.say(t, "GET explain?node=rack17-n03"); status != http.StatusServiceUnavailable || !strings.Contains(text, `"ironic_slow"`) || !strings.Contains(text, "try again in a moment") {
				t.Errorf("while Ironic is slow: %d %s", status, text)
			}
		})
	}
	all.Wait()
	close(answer)
	eventually(t, "the answer has come", func() bool {
		status, _ := a.say(t, "GET explain?node=rack17-n03")
		return status == http.StatusOK
	})
	if n := asked.Load(); n != 1 {
		t.Errorf("Ironic was asked %d times, want once", n)
	}
	ironic.Close()
	eventually(t, "it is said that Ironic cannot be asked", func() bool {
		status, text := a.say(t, "GET explain?node=rack17-n04")
		return status == http.StatusServiceUnavailable && strings.Contains(text, `"ironic_unavailable"`) && strings.Contains(text, "only names that ironic-edge nodes lists")
	})
}

// TestPageAsksIronic searches on the status page, which anybody may: nobody is asked but on demand, and no more than a machine
// may cause.
func TestPageAsksIronic(t *testing.T) {
	ironic := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer ironic.Close()
	address := freeAddress(t)
	if err := load(t, strings.Replace(siteConfig(address, ironic.URL, "client_rate 1"), "\treverse_proxy", "\tironic_edge_status\n\treverse_proxy", 1)); err != nil {
		t.Fatal(err)
	}
	page := func(query string) string {
		response, err := http.Get("http://" + address + "/edge/?" + query)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return html.UnescapeString(string(text))
	}
	if text := page("q=rack17-n03"); ironic.Calls("node") != 0 || !strings.Contains(text, "?ask=ironic&q=rack17-n03") {
		t.Errorf("a search asks Ironic %d times, or does not say how to: %s", ironic.Calls("node"), text)
	}
	if text := page("q=rack17-n03&ask=ironic"); !strings.Contains(text, nodeUUID(3)) || strings.Contains(text, "#!ipxe") {
		t.Errorf("the page does not show the node, or shows its script: %s", text)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i := range 200 {
		all.Go(func() {
			if strings.Contains(page(fmt.Sprintf("q=nobody-%d&ask=ironic", i)), "the client asks too often") {
				mu.Lock()
				refused++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n := ironic.Calls("node"); n > 100 || refused < 100 { // six, and one more each second
		t.Errorf("Ironic was asked %d times, and %d of 200 were refused", n, refused)
	}
}
