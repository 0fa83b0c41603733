// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestKeystone gives the edge a wrong password at first: neither the machine nor the log learns of it. Then Keystone takes
// it, and its catalogue says where Ironic is.
func TestKeystone(t *testing.T) {
	const secret, token = "correct-horse", "a-token"
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	api.RequireToken(func(got string) bool { return got == token })
	var good atomic.Bool
	keystone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !good.Load() {
			asked, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, `{"error": {"code": 401, "message": %q}}`, asked)
			return
		}
		w.Header().Set("X-Subject-Token", token)
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token": {"catalog": [{"type": "baremetal", "endpoints": [
			{"interface": "public", "region_id": "here", "url": "http://127.0.0.1:1"},
			{"interface": "internal", "region_id": "there", "url": "http://127.0.0.1:1"},
			{"interface": "internal", "region_id": "here", "url": %q}]}]}}`, api.URL)
	}))
	defer keystone.Close()
	dir := t.TempDir()
	clouds, log := filepath.Join(dir, "clouds.yaml"), filepath.Join(dir, "log")
	entry := "clouds: {rack: {auth: {auth_url: " + keystone.URL + "/v3, username: edge, password: " + secret +
		", user_domain_name: Default, system_scope: all}, region_name: here, interface: internal}}"
	if err := os.WriteFile(clouds, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	if err := load(t, fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tdebug\n\tlog {\n\t\toutput file %s\n\t}\n}\n"+
		"http://%s {\n\tironic_edge {\n\t\tironic {\n\t\t\tauth cloud rack %s\n\t\t}\n\t}\n}\n", log, address, clouds)); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	get := func() (*http.Response, string) {
		r, err := http.Get("http://" + address + "/pxelinux.cfg/" + nodeMAC(1))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(body)
	}

	r, body := get()
	if reason := r.Header.Get("X-Ironic-Edge-Reason"); r.StatusCode != http.StatusServiceUnavailable || reason != "ironic_unavailable" {
		t.Errorf("status %d, reason %q", r.StatusCode, reason)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "unauthorized") {
		t.Errorf("the log does not say why: %s", text)
	}
	if strings.Contains(body+fmt.Sprint(r.Header)+string(text), secret) {
		t.Errorf("the password is shown: %s%v\n%s", body, r.Header, text)
	}

	good.Store(true)
	if r, body := get(); r.StatusCode != http.StatusOK || !strings.HasPrefix(body, "#!ipxe") {
		t.Errorf("with the right password: status %d: %s", r.StatusCode, body)
	}
}
