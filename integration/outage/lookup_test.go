// SPDX-License-Identifier: Apache-2.0

//go:build integration

package outage

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
)

// lookup boots a machine with real iPXE whose agent's first lookup loses its connection after Ironic has given the token
// away, which it does once. The agent asks again, in the same words, and Ironic takes the token in its heartbeat.
func lookup(t *testing.T, w *world) {
	guest, err := qemu.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, map[bool]string{true: guest.Kernel, false: guest.Ramdisk}[r.URL.Path == "/kernel"])
	}))
	t.Cleanup(images.Close)
	wire, err := NewWire()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Close)
	_, port, err := net.SplitHostPort(wire.Address)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + net.JoinHostPort(qemu.Host, port)
	e, line, _ := w.start(t, "public_url "+base, "deploy_kernel "+images.URL+"/kernel", "deploy_ramdisk "+images.URL+"/ramdisk",
		`kernel_append_params "console=ttyS0 test-fate=heartbeat"`)
	wire.Connect(e.Address)
	node := w.nodes["wait-call-back-direct"]

	var lookups atomic.Int64
	given, killed := make(chan []byte, 1), make(chan struct{})
	err = line.Suffer(func(w http.ResponseWriter, r *http.Request, left <-chan struct{}, through func(http.ResponseWriter)) {
		if r.URL.Path != "/v1/lookup" || lookups.Add(1) > 1 {
			through(w)
			return
		}
		answer := httptest.NewRecorder()
		through(answer)
		given <- answer.Body.Bytes()
		select {
		case <-killed:
		case <-r.Context().Done(): // the edge has given the call up; the token is lost
		case <-left:
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
	if err != nil {
		t.Fatal(err)
	}
	vm, err := qemu.Start(t.Context(), qemu.Machine{MAC: node.MACs[0], Dir: t.TempDir(), BootURL: base + "/boot.ipxe"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // half a minute on a free core
	defer cancel()
	want := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if err := vm.WaitFor(ctx, text); err != nil {
				t.Fatalf("%v\nthe edge's log:\n%s", err, e.Log())
			}
		}
	}
	want("AGENT cmdline")
	var answer struct {
		Config struct {
			Token string `json:"agent_token"`
		}
	}
	select {
	case body := <-given:
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.Config.Token) < 20 {
			t.Fatalf("Ironic's answer has a token of %d characters: %v", len(answer.Config.Token), err)
		}
	case <-ctx.Done():
		t.Fatalf("no lookup reaches Ironic: %v\n%s\nthe edge's log:\n%s", ctx.Err(), vm.Console(), e.Log())
	}
	if n := wire.Kill("GET /v1/lookup?"); n != 1 {
		t.Fatalf("%d connections were killed, want that of the lookup", n)
	}
	want("AGENT lookup failed with")
	close(killed)
	want("AGENT lookup ended with 0", "AGENT node \"uuid\": \""+node.UUID, "AGENT has a token", "AGENT heartbeat ended with 0", "AGENT done")
	if n := lookups.Load(); n != 1 {
		t.Errorf("%d lookups reached Ironic, want the first", n)
	}
	if !strings.Contains(e.Metrics(), "ironic_edge_agent_lookup_replays_total 1") {
		t.Error("the metrics do not tell of an answer that was given again")
	}
	if strings.Contains(e.Log(), answer.Config.Token) {
		t.Error("the log has the token")
	}
}
