// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestMiddleOfAnImage has a machine read its drive range by range while its node changes in Ironic and goes away.
func TestMiddleOfAnImage(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newEdge func(*ironictest.Server, func(*Handler)) *edge) {
		images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("the disc at "+r.URL.Path))
		}))
		t.Cleanup(images.Close)
		api := ironictest.Start(ironictest.DemoFleet(images.URL)...)
		t.Cleanup(api.Close)
		e := newEdge(api, func(h *Handler) { h.NodeTTL = caddy.Duration(time.Nanosecond) })
		ask := func(client, method string, fields ...string) (int, string) {
			r := httptest.NewRequest(method, "/"+nodeUUID(8)+"/boot_iso", nil)
			r.RemoteAddr = client + ":49152"
			for _, f := range fields {
				name, value, _ := strings.Cut(f, ": ")
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			if err := e.handler.ServeHTTP(w, r, nil); err != nil {
				t.Fatal(err)
			}
			return w.Code, w.Body.String()
		}
		const machine, other, piece = "192.0.2.8", "192.0.2.9", "Range: bytes=12-"
		want := func(path, client, method string, fields ...string) {
			t.Helper()
			status, body := ask(client, method, fields...)
			switch {
			case path == "" && status != http.StatusNotFound:
				t.Errorf("%s %s %v: %d %s, want 404", client, method, fields, status, body)
			case path != "" && (status >= 400 || method == http.MethodGet && !strings.HasSuffix(body, path)):
				t.Errorf("%s %s %v: %d %s, want %s", client, method, fields, status, body, path)
			}
		}
		want("/instance.iso", machine, http.MethodHead)
		want("/instance.iso", machine, http.MethodGet, piece)
		api.Update(nodeUUID(8), func(n *ironictest.Node) { n.InstanceInfo["boot_iso"] = images.URL + "/next.iso" })
		e.handler.site.forgetNode(nodeUUID(8))
		want("/instance.iso", machine, http.MethodGet, piece)
		want("/next.iso", other, http.MethodGet, piece)
		want("/next.iso", machine, http.MethodHead) // it boots again
		want("/next.iso", machine, http.MethodGet, piece)
		api.Remove(nodeUUID(8))
		e.handler.site.forgetNode(nodeUUID(8))
		want("/next.iso", machine, http.MethodGet, piece)
		want("", "192.0.2.10", http.MethodGet, piece)
		want("", machine, http.MethodGet, piece, `If-Range: "x"`)
		want("", machine, http.MethodGet)
		images.Close()
		if e.handler.storage == nil { // the image cannot be had there any more, so Ironic is asked
			if status, _ := ask(machine, http.MethodGet, piece); status != http.StatusServiceUnavailable {
				t.Errorf("without its origin: %d", status)
			}
			want("", machine, http.MethodGet, piece)
		}
	})
}

func TestMiddles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m middles
		request := func(client int) *http.Request {
			return &http.Request{RemoteAddr: fmt.Sprintf("192.0.2.1:%d", client), Header: http.Header{"Range": {"bytes=0-511"}}}
		}
		iso := route{wayImage, nodeUUID(1), ipxe.BootISO}
		known := func(route route) bool {
			location, ok := m.of(request(1), route)
			return ok && location == "http://a/"+route.label
		}
		if known(iso) {
			t.Error("what never began has a middle")
		}
		m.begin(request(2), iso, "http://a/boot_iso") // another port of the same client
		for range 10 {
			if time.Sleep(middleTime - 1); !known(iso) {
				t.Fatal("a client that goes on is forgotten")
			}
		}
		for _, other := range []route{{wayImage, nodeUUID(2), ipxe.BootISO}, {wayImage, nodeUUID(1), ipxe.Kernel}} {
			if location, ok := m.of(request(1), other); ok {
				t.Errorf("%v is in the middle of %s", other, location)
			}
		}
		if time.Sleep(middleTime); known(iso) {
			t.Error("a client that stopped is remembered")
		}
		m.begin(request(1), iso, "http://a/boot_iso")
		if m.end(request(1), iso); known(iso) {
			t.Error("what was refused is remembered")
		}
		kickstart := route{wayImage, nodeUUID(1), ipxe.Kickstart}
		if m.begin(request(1), kickstart, "http://a/"+ipxe.Kickstart); known(kickstart) {
			t.Error("a kickstart file is remembered")
		}
		signed := fmt.Sprintf("http://a/k?temp_url_sig=x&temp_url_expires=%d", time.Now().Add(10*time.Second).Unix())
		m.begin(request(1), iso, signed)
		if _, ok := m.of(request(1), iso); !ok {
			t.Error("a signature that is good is forgotten")
		}
		time.Sleep(11 * time.Second)
		if _, ok := m.of(request(1), iso); ok {
			t.Error("a signature that has run out is remembered")
		}
		for i := range 3 * maxMiddles {
			m.begin(request(1), route{wayImage, nodeUUID(i), ipxe.BootISO}, "http://a/")
		}
		if len(m.known) > maxMiddles {
			t.Errorf("%d are remembered", len(m.known))
		}
	})
}
