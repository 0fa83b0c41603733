// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// span is what OpenTelemetry's console exporter writes.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ SpanID string }
	Attributes  []struct {
		Key   string
		Value struct{ Value any }
	}
}

// TestTracing lets Caddy's tracing handler export what one script request did: resolving the node and each call to Ironic
// must be below Caddy's own span, and hold nothing that the script holds.
func TestTracing(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer api.Close()
	site := freeAddress(t)
	file := t.TempDir() + "/Caddyfile"
	config := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n}\nhttp://%s {\n\ttracing {\n\t\tspan boot\n\t}\n\tironic_edge {\n\t\tironic %s\n\t}\n}\n", site, api.URL)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], "run", "--config", file)
	cmd.Env = append(os.Environ(), asCommand+"=1", "OTEL_TRACES_EXPORTER=console", "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	script := get(t, "http://"+site+"/pxelinux.cfg/52-54-00-17-00-02")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	byName := map[string]span{}
	for d := json.NewDecoder(&out); ; {
		var s span
		if err := d.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		byName[s.Name] = s
		for _, a := range s.Attributes {
			if v, ok := a.Value.Value.(string); ok && (strings.Contains(v, "ipa-api-url") || strings.Contains(script, v) && strings.Contains(v, "\n")) {
				t.Errorf("span %s holds the script: %s", s.Name, v)
			}
		}
	}
	for child, parent := range map[string]string{
		"ironic-edge script":       "boot", // of no boot of a machine, since it is no firmware that asks
		"ironic-edge resolve node": "ironic-edge script",
		"ironic ports":             "ironic-edge resolve node",
		"ironic nodes":             "ironic-edge resolve node",
	} {
		c, p := byName[child], byName[parent]
		if c.Name == "" || c.Parent.SpanID != p.SpanContext.SpanID || c.SpanContext.TraceID != p.SpanContext.TraceID {
			t.Errorf("%q is not below %q", child, parent)
		}
	}
	if t.Failed() {
		for _, s := range byName {
			t.Logf("%s: %s below %s", s.Name, s.SpanContext.SpanID, s.Parent.SpanID)
		}
	}
}

// freeAddress is below the ports that the kernel gives to connections, which would take it before the edge does.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(12_000+rand.N(20_000)))
		if l, err := net.Listen("tcp", address); err == nil {
			defer l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// get asks until there is a server.
func get(t *testing.T, url string) string {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if response, err := http.Get(url); err == nil {
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("status %d, %v", response.StatusCode, err)
			}
			return string(body)
		}
		<-tick.C
	}
	t.Fatal("the edge does not answer")
	return ""
}
