// SPDX-License-Identifier: Apache-2.0

//go:build integration

package outage

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
)

// boot switches a machine on when neither Ironic nor the web server of its images can be reached and the edge was killed
// since: real iPXE boots the deploy ramdisk.
func boot(t *testing.T, w *world) {
	guest, err := qemu.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, map[bool]string{true: guest.Kernel, false: guest.Ramdisk}[r.URL.Path == "/kernel"])
	}))
	t.Cleanup(images.Close)
	e, line, snapshot := w.start(t, "public_url http://"+qemu.Host+":{port}", "store "+t.TempDir()+" {\n\t\t\tmin_free 0\n\t\t}",
		"deploy_kernel "+images.URL+"/kernel", "deploy_ramdisk "+images.URL+"/ramdisk", `kernel_append_params "console=ttyS0"`)
	node := w.nodes["wait-call-back-http-ipxe"]
	get := func(url string) (string, http.Header) {
		t.Helper()
		response, err := http.Get(strings.Replace(url, qemu.Host, "127.0.0.1", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", url, response.StatusCode, err)
		}
		return string(body), response.Header
	}
	// Another machine with the same agent has booted here.
	script, _ := get("http://" + e.Address + "/pxelinux.cfg/" + strings.ReplaceAll(w.nodes["wait-call-back-direct"].MACs[0], ":", "-"))
	urls := regexp.MustCompile(`http://\S+/deploy_(kernel|ramdisk)\b`).FindAllString(script, -1)
	if len(urls) < 2 {
		t.Fatalf("the script names %q:\n%s", urls, script)
	}
	for _, url := range urls {
		until(t, e, url+" is in the store", func() bool {
			_, header := get(url)
			return strings.Contains(header.Get("Cache-Status"), "hit")
		})
	}
	until(t, e, "the snapshot has the node", func() bool {
		text, err := os.ReadFile(snapshot)
		return err == nil && strings.Contains(string(text), node.UUID)
	})
	line.Cut()
	images.Close()
	e.Kill()
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	vm, err := qemu.Start(t.Context(), qemu.Machine{MAC: node.MACs[0], Dir: t.TempDir(),
		BootURL: "http://" + strings.Replace(e.Address, "127.0.0.1", qemu.Host, 1) + "/boot.ipxe"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // half a minute on a free core
	defer cancel()
	for _, text := range []string{"this is what it said", "AGENT cmdline", "ipa-api-url=http://" + qemu.Host, "AGENT done"} {
		if err := vm.WaitFor(ctx, text); err != nil {
			t.Fatalf("%v\nthe edge's log:\n%s", err, e.Log())
		}
	}
}
