// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

// conductor is the web server of a conductor. Its script for a node is made by scripts; nil is 404.
type conductor struct {
	*httptest.Server
	script atomic.Pointer[string]
}

func newConductor(t *testing.T) *conductor {
	c := new(conductor)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := c.script.Load()
		if text == nil || !strings.HasSuffix(r.URL.Path, "/config") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(*text))
	}))
	t.Cleanup(c.Close)
	return c
}

// theirs is a script that does what ours does for the node, in other words and with the conductor's own addresses.
func (c *conductor) theirs(t *testing.T, n *ipxe.Node, o ipxe.Options) string {
	t.Helper()
	o.APIURL, o.Beacons = "http://ironic.far:6385", false
	script, err := ipxe.Select(n, ipxe.Boot{BaseURL: "http://conductor.far:8088", RequestID: "req-theirs"}, &o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := script.AppendText(nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "#!ipxe\n", "#!ipxe\necho a conductor wrote this\n", 1)
}

func TestCompare(t *testing.T) {
	t.Parallel()
	c := newConductor(t)
	e := newEdge(t, func(h *Handler) { h.ConductorHTTP = c.URL })
	h := e.handler
	compare := func(n int) (same bool, where string) {
		t.Helper()
		node, err := h.client.NodeByUUID(t.Context(), nodeUUID(n))
		if err != nil {
			t.Fatal(err)
		}
		diff, err := h.compare(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		return diff.Same, diff.Case
	}
	node, err := h.client.NodeByUUID(t.Context(), nodeUUID(3))
	if err != nil {
		t.Fatal(err)
	}
	text := c.theirs(t, node, h.options)
	c.script.Store(&text)
	if same, where := compare(3); !same {
		t.Errorf("a script that does the same differs: %s", where)
	}
	text = strings.Replace(text, "deploy_ramdisk ||", "deploy_ramdisk2 ||", 1)
	other := strings.Replace(text, " ipa-api-url=", " nofb2 ipa-api-url=", 1)
	if other == text {
		t.Fatal("the script is not what this test changes")
	}
	c.script.Store(&other)
	if same, where := compare(3); same || where != "all goes well" {
		t.Errorf("another command line: same %t in %q", same, where)
	}
	c.script.Store(nil)
	if same, _ := compare(3); same {
		t.Error("a node for which the conductor has nothing is the same as one that gets the agent")
	}
	for n, what := range map[int]string{6: "an active node with a local disk", 11: "an available node"} {
		if same, _ := compare(n); !same {
			t.Errorf("%s: no script of the conductor's is another", what)
		}
	}
}

// TestDiffHidesPasswords wants no CHAP password in what people see.
func TestDiffHidesPasswords(t *testing.T) {
	t.Parallel()
	c := newConductor(t)
	e := newEdge(t, func(h *Handler) { h.ConductorHTTP = c.URL })
	text := "#!ipxe\nset username u\nset password s3cret\nsanhook --drive 0x80 iscsi:192.0.2.17::3260:1:iqn.2026-01.test\nsanboot --no-describe\n"
	c.script.Store(&text)
	node, err := e.handler.client.NodeByUUID(t.Context(), nodeUUID(9))
	if err != nil {
		t.Fatal(err)
	}
	diff, err := e.handler.compare(t.Context(), node)
	if err != nil || diff.Same {
		t.Fatalf("%v, %+v", err, diff)
	}
	if all := strings.Join(append(diff.Ours, diff.Theirs...), "\n"); strings.Contains(all, "s3cret") || !strings.Contains(all, "password") {
		t.Errorf("a password is shown, or the test does not see where it stood:\n%s", all)
	}
}

func TestShadow(t *testing.T) {
	t.Parallel()
	c := newConductor(t)
	e := newEdge(t, func(h *Handler) { h.ConductorHTTP, h.Shadow = c.URL, 100 })
	core, logged := observer.New(zap.WarnLevel)
	e.handler.logger = zap.New(core)
	text := "#!ipxe\nexit\n"
	c.script.Store(&text)
	if a := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)); a.status != http.StatusOK || strings.HasSuffix(a.body, text) {
		t.Errorf("the edge's own script is not given: %d %s", a.status, a.body)
	}
	limit := time.Now().Add(time.Minute)
	for logged.FilterMessageSnippet("does not do what the conductor's does").Len() == 0 {
		if time.Now().After(limit) {
			t.Fatal("a difference is not told")
		}
		time.Sleep(time.Millisecond) // until the comparison in the background has ended
	}
}

func TestServeConductor(t *testing.T) {
	t.Parallel()
	c := newConductor(t)
	e := newEdge(t, func(h *Handler) { h.ConductorHTTP, h.Serve = c.URL, "conductor" })
	text := "#!ipxe\n# theirs\nexit\n"
	c.script.Store(&text)
	if a := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)); a.status != http.StatusOK || a.body != text {
		t.Errorf("%d %q", a.status, a.body)
	}
	c.script.Store(nil)
	if a := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)); a.status != http.StatusNotFound {
		t.Errorf("no script of the conductor's: %d", a.status)
	}
	c.Close()
	if a := e.get(t, "/pxelinux.cfg/"+nodeMAC(3)); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("no conductor: %d", a.status)
	}
}
