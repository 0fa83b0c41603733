// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestLiveFeedDoesNotHoldTheServer stops a server while somebody looks at the page.
func TestLiveFeedDoesNotHoldTheServer(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := strings.Replace(siteConfig(address, api.URL), "\treverse_proxy", "\tironic_edge_status\n\treverse_proxy", 1)
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	download(t, "http://"+address+"/pxelinux.cfg/"+nodeMAC(3), "User-Agent: iPXE/1.21.1+") // something to tell of
	response, err := http.Get("http://" + address + "/edge/live")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	feed := bufio.NewReader(response.Body)
	if line, err := feed.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("%q, %v", line, err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, feed); err != nil { // returns when the server has ended the feed
		t.Error(err)
	}
}
