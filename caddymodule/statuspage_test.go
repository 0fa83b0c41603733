// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestStatusPage has the page at a path of its own, for one sort of client.
func TestStatusPage(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := siteConfig(address, api.URL)
	config = strings.Replace(config, "\treverse_proxy", "\t@people header X-People yes\n\tironic_edge_status @people /rack/17/\n\treverse_proxy", 1)
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path, people string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-People", people)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(text)
	}
	const title = "<title>Rack"
	if response, text := ask(http.MethodGet, "/rack/17/", "yes"); response.StatusCode != http.StatusOK || !strings.Contains(text, title) ||
		!strings.Contains(text, `href="/rack/17/images"`) || !strings.Contains(response.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page: %d %v %s", response.StatusCode, response.Header, text)
	}
	if response, _ := ask(http.MethodGet, "/rack/17", "yes"); response.StatusCode != http.StatusMovedPermanently || response.Header.Get("Location") != "/rack/17/" {
		t.Errorf("without its slash: %d to %q", response.StatusCode, response.Header.Get("Location"))
	}
	if response, text := ask(http.MethodHead, "/rack/17/images", "yes"); response.StatusCode != http.StatusOK || text != "" || response.ContentLength <= 0 {
		t.Errorf("HEAD: %d with %d bytes of %d", response.StatusCode, len(text), response.ContentLength)
	}
	if response, _ := ask(http.MethodPost, "/rack/17/", "yes"); response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", response.StatusCode)
	}
	if response, _ := ask(http.MethodPost, "/rack/17/act", "yes"); response.StatusCode != http.StatusForbidden {
		t.Errorf("an action on a page for reading: %d", response.StatusCode)
	}
	if response, _ := ask(http.MethodGet, "/rack/17/none", "yes"); response.StatusCode != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", response.StatusCode)
	}
	for path, people := range map[string]string{"/rack/17/": "no", "/edge/": "yes", "/rack/": "yes"} {
		if response, text := ask(http.MethodGet, path, people); strings.Contains(text, title) {
			t.Errorf("%s is the page, with %q: %d", path, people, response.StatusCode)
		}
	}
}

// TestStatusPageLeavesReportsToTheEdge has the page where the scripts send their reports to.
func TestStatusPageLeavesReportsToTheEdge(t *testing.T) {
	t.Parallel()
	p := &StatusPage{Path: "/edge/", closing: t.Context()}
	var passed []string
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		passed = append(passed, r.URL.Path)
		return nil
	})
	for _, path := range []string{ipxe.BeaconPath, "/boot.ipxe", "/edgewise/", "/"} {
		if err := p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil), next); err != nil {
			t.Error(err)
		}
		if len(passed) == 0 || passed[len(passed)-1] != path {
			t.Errorf("%s is not handed on", path)
		}
	}
}

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
