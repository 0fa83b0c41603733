// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// siteConfig is a Caddyfile with one boot site; options are lines of the ironic_edge block.
func siteConfig(address, ironic string, options ...string) string {
	return fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tservers {\n\t\tlistener_wrappers {\n\t\t\tironic_edge\n\t\t}\n\t}\n}\nhttp://%s {\n\tironic_edge {\n\t\tironic %s\n\t\t%s\n\t}\n\treverse_proxy %[2]s\n}\n",
		address, ironic, strings.Join(options, "\n\t\t"))
}

// load runs a Caddyfile in this process. Caddy is one for the process, so tests that use it are not parallel.
func load(t *testing.T, caddyfile string) error {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Load(adapted, true)
}

// freeAddress returns an address that a server can listen at. It is below the ports that the kernel gives to connections
// and to who asks for any: one of those may be another's before the server has begun.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(12_000 + rand.N(20_000))
		if l, err := net.Listen("tcp", ":"+port); err == nil {
			defer l.Close()
			return "127.0.0.1:" + port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// TestReloadUnderLoad reloads good and bad configurations while clients ask, and wants every request answered, the
// cached node kept and the counters going on.
func TestReloadUnderLoad(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	if err := load(t, siteConfig(address, api.URL, "node_ttl 1h")); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	}()
	target := "http://" + address + "/pxelinux.cfg/" + nodeMAC(1)
	one := &http.Client{Transport: new(http.Transport)}
	defer one.CloseIdleConnections()
	ask(t, one, target)

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var mu sync.Mutex
	asked := 0
	for i := range 8 {
		clients.Go(func() { // half of them open a connection for each request, as firmware does
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				ask(t, client, target)
				mu.Lock()
				asked++
				mu.Unlock()
			}
		})
	}
	before := func() int { mu.Lock(); defer mu.Unlock(); return asked }
	for i := range 10 {
		if err := load(t, siteConfig(address, api.URL, "node_ttl 1h", fmt.Sprintf("ipxe_timeout %ds", i+1))); err != nil {
			t.Errorf("reload %d: %v", i, err)
		}
		if err := load(t, siteConfig(address, api.URL, "node_ttl 1h", "deploy_kernel http://a/k")); err == nil {
			t.Error("a configuration without a ramdisk is taken")
		}
		for n := before(); before() < n+20; { // some requests at each configuration
			ask(t, one, target)
		}
	}
	stop()
	clients.Wait()
	if n := api.Calls("node"); n != 1 {
		t.Errorf("Ironic was asked %d times for a node that was known, want once", n)
	}
	if got := ask(t, one, target); !strings.Contains(got, "--timeout 10000 ") {
		t.Errorf("the last configuration does not rule:\n%s", got)
	}
}

func ask(t *testing.T, client *http.Client, target string) string {
	t.Helper()
	response, err := client.Get(target)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", response.StatusCode, err)
	}
	return string(body)
}

// sitesHeld is how many shared sites there are.
func sitesHeld() int {
	n := 0
	sites.Range(func(any, any) bool { n++; return true })
	return n
}

// TestFailedLoadGivesBackWhatItTook is about a configuration that cannot listen, after its handler took the shared site: the
// reference must go back, and only that one.
func TestFailedLoadGivesBackWhatItTook(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	before := sitesHeld()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := load(t, siteConfig(taken.Addr().String(), api.URL)); err == nil {
		t.Error("a configuration that cannot listen is taken")
	}
	_ = caddy.Stop()
	if n := sitesHeld(); n != before {
		t.Errorf("%d sites are left behind", n-before)
	}
}

func TestLint(t *testing.T) {
	api := ironictest.Start()
	defer api.Close()
	host, port, _ := net.SplitHostPort(freeAddress(t))
	block := "\tironic_edge {\n\t\tironic " + api.URL + "\n\t\tpublic_url %s\n\t}\n"
	for name, tt := range map[string]struct{ config, want string }{ // the config begins inside the global options
		"good":             {"}\nhttp://" + host + ":" + port + " {\n" + fmt.Sprintf(block, "http://"+host+":"+port) + "}\n", ""},
		"any host":         {"}\nhttp://:" + port + " {\n" + fmt.Sprintf(block, "http://edge.rack17:"+port) + "}\n", ""},
		"other port":       {"}\nhttp://:" + port + " {\n" + fmt.Sprintf(block, "http://edge.rack17:1") + "}\n", "is answered by no site"},
		"other host":       {"}\nhttp://a:" + port + " {\n" + fmt.Sprintf(block, "http://b:"+port) + "}\n", "is answered by no site"},
		"compressed":       {"}\nhttp://:" + port + " {\n\tencode\n" + fmt.Sprintf(block, "http://b:"+port) + "}\n", "encode stands around ironic_edge"},
		"encode elsewhere": {"}\nhttp://:" + port + " {\n\thandle /docs/* {\n\t\tencode\n\t}\n\thandle {\n" + fmt.Sprintf(block, "http://b:"+port) + "\t}\n}\n", ""},
		"HTTPS":            {"\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n}\nhttps://localhost:" + port + " {\n" + fmt.Sprintf(block, "https://localhost:"+port) + "}\n", "write its address with http:// in front"},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			global := "{\n\tadmin off\n\tlog {\n\t\toutput file " + log + "\n\t}\n"
			if err := load(t, global+tt.config); err != nil {
				t.Fatal(err)
			}
			defer caddy.Stop()
			got := warnings(t, log)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("warnings: %q, want %q", got, tt.want)
			}
		})
	}
}

// warnings returns what lint wrote into a log.
func warnings(t *testing.T, log string) string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	for line := range strings.Lines(string(text)) {
		var entry struct{ Level, Logger, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Level == "warn" && entry.Logger == directive {
			found.WriteString(entry.Msg + "\n")
		}
	}
	return found.String()
}

// TestFailedLoadChangesNoLifetime is about a configuration that takes the shared site with a lifetime of its own and then
// cannot listen: the one that runs goes on with its own.
func TestFailedLoadChangesNoLifetime(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := freeAddress(t)
	if err := load(t, siteConfig(address, api.URL, "node_ttl 1h")); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	target := "http://" + address + "/pxelinux.cfg/" + nodeMAC(1)
	ask(t, http.DefaultClient, target)
	if err := load(t, siteConfig(taken.Addr().String(), api.URL, "node_ttl 1ns")); err == nil {
		t.Fatal("a configuration for an address that is taken is taken")
	}
	ask(t, http.DefaultClient, target)
	if n := api.Calls("node"); n != 1 {
		t.Errorf("Ironic was asked %d times for a node that was known, want once", n)
	}
}

// TestSitesKeepTheirLifetimes has two sites before one Ironic, each with its own idea of how long a node is known.
func TestSitesKeepTheirLifetimes(t *testing.T) {
	t.Parallel()
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	t.Cleanup(api.Close)
	long := newEdgeBefore(t, api, func(h *Handler) { h.NodeTTL = caddy.Duration(time.Hour) })
	short := newEdgeBefore(t, api, func(h *Handler) { h.NodeTTL = 1 })
	for n, step := range []struct {
		at    *edge
		calls int
	}{{long, 1}, {long, 1}, {short, 2}, {long, 2}, {short, 3}} {
		step.at.get(t, "/pxelinux.cfg/"+nodeMAC(1))
		if calls := api.Calls("node"); calls != step.calls {
			t.Errorf("step %d: Ironic was asked %d times, want %d", n, calls, step.calls)
		}
	}
}

// TestReloadDuringALogin reloads while the first request waits for an Ironic that is slow to name its versions.
func TestReloadDuringALogin(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	asked, release := make(chan struct{}, 10), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		api.ServeHTTP(w, r)
	}))
	defer slow.Close()
	before := sitesHeld()
	address := freeAddress(t)
	if err := load(t, siteConfig(address, slow.URL)); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	answered := make(chan string)
	go func() { answered <- ask(t, http.DefaultClient, "http://"+address+"/pxelinux.cfg/"+nodeMAC(1)) }()
	<-asked
	if err := load(t, siteConfig(address, api.URL)); err != nil { // another Ironic, so that nothing is shared
		t.Error(err)
	}
	close(release)
	if got := <-answered; !strings.Contains(got, "deploy_kernel") {
		t.Errorf("the request that waited gets\n%s", got)
	}
	for deadline := time.Now().Add(10 * time.Second); sitesHeld() > before+1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the old configuration keeps its site")
		}
	}
}
