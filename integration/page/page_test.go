// SPDX-License-Identifier: Apache-2.0

//go:build integration

package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/integration/daemon"
	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/integration/rack"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

const (
	patience = 8 * time.Minute
	fleet    = 5000 // nodes beside those of the demo
	// booted is how many of the fleet have booted before anybody looks.
	booted  = 1500
	stalled = "52:54:00:1f:00:02"
	asset   = "DC2-0815"
	// What no page may show. The signature is that of the images of the machine that stands still.
	password  = "s3cret-chap-1f00"
	signature = "s3cret-signature-1f00"
	query     = "temp_url_sig=" + signature + "&temp_url_expires=4102444800"
)

// TestRack looks at the page of an edge with 5,000 nodes, one of which boots and stands still in the middle of its ramdisk.
func TestRack(t *testing.T) {
	r, err := rack.Start(t.Context(), t.TempDir(), nodes, "conductor_http {origin}")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var status api.Status
	err = edge.Poll(ctx, func() bool {
		return json.Unmarshal([]byte(r.API(api.Prefix+"status")), &status) == nil && status.Edges[0].Inventory != nil && status.Edges[0].Inventory.Nodes > fleet
	})
	if err != nil {
		t.Fatalf("%v: %+v; the edge's log: %s", err, status, r.Log())
	}
	secrets := plant(t, r)
	fill(t, r)

	comes := rack.StallAt / 3
	r.Origin.Let(comes)
	var machine *qemu.VM
	defer func() {
		if machine == nil {
			return
		}
		machine.Stop()
		if t.Failed() {
			t.Logf("the console: %s", machine.Console())
		}
	}()
	boots := make([]string, 6)
	for i := range boots {
		boots[i] = strings.ReplaceAll(macOf(booted+i), ":", "-")
	}
	look(t, map[string]any{"base": "http://" + r.Address + "/edge/", "secrets": secrets, "asset": asset, "boots": boots},
		func(wish string) {
			switch wish {
			case "on":
				if machine, err = r.SwitchOn(t.Context(), qemu.Machine{MAC: stalled, Dir: t.TempDir()}); err != nil {
					t.Error(err)
				}
			case "pause": // it takes a whole core to wait for more
				if err := machine.Pause(); err != nil {
					t.Error(err)
				}
			case "more":
				comes = min(comes+rack.StallAt/3, rack.StallAt)
				r.Origin.Let(comes)
			}
		},
		"control", "live", "search", "keyboard", "no script", "stuck", "width", "secrets", "axe", "fleet", "console")
	if !r.Origin.Asked(query) {
		t.Error("the origin has not seen the signature, so that there was none to show")
	}
}

// nodes are those of the demo, the fleet, and the one that stands still.
func nodes(origin string) []ironictest.Node {
	all := ironictest.DemoFleet(origin)
	for i := range all {
		if all[i].Name == "rack17-n05" {
			all[i].Properties["asset_tag"] = asset
		}
		for _, v := range all[i].Volumes {
			v.Properties["auth_method"], v.Properties["auth_username"], v.Properties["auth_password"] = "CHAP", "edge", password // Ironic masks it
		}
	}
	all = append(all, rack.Node("stalled", stalled, origin, "?"+query, "console=ttyS0"))
	for i := range fleet {
		all = append(all, ironictest.Node{UUID: fmt.Sprintf("6d4c7e01-5000-4000-8000-%012d", i), Name: fmt.Sprintf("node-%04d", i), ProvisionState: "active",
			Ports: []ironictest.Port{{Address: macOf(i)}}})
	}
	return all
}

// macOf is the address of a node of the fleet.
func macOf(i int) string { return fmt.Sprintf("52:54:00:50:%02x:%02x", i>>8, i&0xff) }

// plant has secrets go through the edge, and returns them by what they are.
func plant(t *testing.T, r *rack.Rack) map[string]string {
	t.Helper()
	r.Origin.Put("/6d4c7e01-1700-4000-8000-000000000009/config", "#!ipxe\nset username edge\nset password "+password+"\nsanhook --drive 0x80 iscsi:a\n")
	if script := ask(t, r, "/pxelinux.cfg/52-54-00-17-00-09"); !strings.Contains(script, password) {
		t.Errorf("the script of the node with a volume has no password: %s", script)
	}
	ask(t, r, "/pxelinux.cfg/52-54-00-17-00-01")
	var found struct {
		Config struct {
			Token string `json:"agent_token"`
		} `json:"config"`
	}
	answer := ask(t, r, "/v1/lookup?addresses=52:54:00:17:00:01")
	if err := json.Unmarshal([]byte(answer), &found); err != nil || found.Config.Token == "" {
		t.Fatalf("the agent has no token: %v: %s", err, answer)
	}
	ask(t, r, "/pxelinux.cfg/52-54-00-17-00-ff") // a stranger, for the page of unknown machines
	return map[string]string{"the CHAP password": password, "the agent's token": found.Config.Token, "the signature of images": signature}
}

// fill has many nodes boot, as far as machines go that have an instance.
func fill(t *testing.T, r *rack.Rack) {
	t.Helper()
	var group sync.WaitGroup
	next := make(chan int)
	for range 8 {
		group.Go(func() {
			for i := range next {
				ask(t, r, "/pxelinux.cfg/"+strings.ReplaceAll(macOf(i), ":", "-"))
			}
		})
	}
	for i := range booted {
		next <- i
	}
	close(next)
	group.Wait()
}

// ask asks as firmware and agents do.
func ask(t *testing.T, r *rack.Rack, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Address+path, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	request.Header.Set("User-Agent", "iPXE/1.21.1+ (simulated)")
	request.Header.Set("X-OpenStack-Ironic-API-Version", "1.68")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Error(err)
	}
	return body.String()
}

// look has Chromium run checks of page.mjs, each of which is a test that ends when its result comes.
func look(t *testing.T, asked map[string]any, grant func(wish string), checks ...string) {
	t.Helper()
	asked["modules"], asked["artifacts"], asked["checks"] = filepath.Join(testDir(t), "chromium", "node_modules"), artifacts(t), checks
	text, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "page.mjs", string(text))
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; run integration/install", err)
	}
	ran := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var result struct{ Name, Error, Said, Ask string }
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			t.Errorf("%v: %s", err, lines.Text())
			continue
		}
		if result.Ask != "" {
			grant(result.Ask)
			continue
		}
		ran++
		t.Run(result.Name, func(t *testing.T) {
			t.Logf("after %v in all: %s", time.Since(began).Round(time.Second/10), result.Said)
			if result.Error != "" {
				t.Error(result.Error)
			}
		})
	}
	if err := cmd.Wait(); err != nil || ran != len(checks) {
		t.Errorf("%d of %d checks ran: %v: %s (is what integration/install installs there?)", ran, len(checks), err, trouble.String())
	}
}

// testDir is where integration/install puts what is no package.
func testDir(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("IRONIC_EDGE_TEST_DIR"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, ".cache", "ironic-edge-test")
}

// artifacts is where pictures are kept: CI_ARTIFACTS, which .ci/run sets, or artifacts in the repository.
func artifacts(t *testing.T) string {
	t.Helper()
	root := os.Getenv("CI_ARTIFACTS")
	if root == "" {
		root = "../../artifacts"
	}
	dir, err := filepath.Abs(filepath.Join(root, "page"))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("pictures are in %s", dir)
	return dir
}

// screenshot makes the picture of the documentation:
//
//	go test -tags integration -count=1 ./integration/page -run TestDemo -args -screenshot $PWD/docs/status.png
var screenshot = flag.String("screenshot", "", "write a picture of the demo's rack into this `file`")

// TestDemo takes the documentation's picture of the demo, in which machines boot, one stands still and one boots over and
// over.
func TestDemo(t *testing.T) {
	if *screenshot == "" {
		t.Skip("it makes a picture, with -screenshot")
	}
	binary, err := edge.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(binary, "ironic-edge", "demo", "--listen", "127.0.0.1:"+port)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "TMPDIR="+dir)
	d, err := daemon.Start(cmd, filepath.Join(dir, "demo.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	})
	base := "http://127.0.0.1:" + port + "/edge/"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = d.WaitUntil(ctx, func() bool {
		response, err := http.Get(base)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	if err != nil {
		t.Fatal(err)
	}
	look(t, map[string]any{"base": base, "file": *screenshot}, nil, "shot")
}
