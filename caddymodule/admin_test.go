// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// administered is an edge that runs, with Caddy's admin API at a socket.
type administered struct {
	socket string
	client *http.Client
}

// newSocket returns the path of a socket that is short enough to be one.
func newSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// administer runs a Caddyfile that says "admin off", with the admin API on instead, until the end of the test.
func administer(t *testing.T, caddyfile string) *administered {
	t.Helper()
	a := &administered{socket: newSocket(t)}
	a.reload(t, caddyfile)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		_ = load(t, "{\n\tadmin off\n\tpersist_config off\n}\n") // else the socket goes on
		_ = caddy.Stop()
	})
	a.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", a.socket)
	}}}
	return a
}

func (a *administered) reload(t *testing.T, caddyfile string) {
	t.Helper()
	if err := load(t, strings.Replace(caddyfile, "admin off", "admin unix/"+a.socket, 1)); err != nil {
		t.Fatal(err)
	}
}

// ask sends "GET status" or "POST purge {…}".
func (a *administered) ask(ctx context.Context, question string) (*http.Response, error) {
	method, path, _ := strings.Cut(question, " ")
	path, body, _ := strings.Cut(path, " ")
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1"+api.Prefix+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return a.client.Do(r)
}

func (a *administered) say(t *testing.T, question string) (int, string) {
	t.Helper()
	response, err := a.ask(t.Context(), question)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text)
}

// tell asks and reads the answer into a value.
func tell[T any](t *testing.T, a *administered, question string) (value T) {
	t.Helper()
	status, text := a.say(t, question)
	if err := json.Unmarshal([]byte(text), &value); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %v:\n%s", question, status, err, text)
	}
	return value
}

// TestAdminWithoutAnEdge asks a Caddy that has no edge.
func TestAdminWithoutAnEdge(t *testing.T) {
	a := administer(t, "{\n\tadmin off\n\tpersist_config off\n}\nhttp://"+freeAddress(t)+" {\n\trespond hello\n}\n")
	if status, text := a.say(t, "GET status"); status != http.StatusServiceUnavailable || !strings.Contains(text, `"no_edge"`) {
		t.Errorf("%d %s", status, text)
	}
}

// TestRefusalsAreTheLast wants the newest first, when there were more than are kept.
func TestRefusalsAreTheLast(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	for i := range 25 {
		e.get(t, fmt.Sprintf("/pxelinux.cfg/52-54-00-00-01-%02x", i))
	}
	got := e.handler.site.refused.list()
	if len(got) != 20 || !strings.HasSuffix(got[0].Path, "18") || !strings.HasSuffix(got[19].Path, "05") {
		t.Errorf("%d refusals, the first %q, the last %q", len(got), got[0].Path, got[len(got)-1].Path)
	}
}

// TestExplainStates explains a node in another state, and one with a secret in its script.
func TestExplainStates(t *testing.T) {
	api1 := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer api1.Close()
	a := administer(t, siteConfig(freeAddress(t), api1.URL, "kernel_append_params \"console=ttyS7\""))
	for state, want := range map[string]string{"": "deploy", "active": "boot_whole_disk", "clean wait": "deploy"} {
		e := tell[api.Explanation](t, a, "GET explain?node="+nodeUUID(1)+"&state="+strings.ReplaceAll(state, " ", "+"))
		if e.Kind != want || len(e.Why) == 0 || !strings.HasPrefix(e.Script, "#!ipxe") || e.Withheld {
			t.Errorf("in %q: %+v, want %s", state, e, want)
		}
		if want == "deploy" && (!strings.Contains(e.Script, "console=ttyS7") || !strings.Contains(e.Script, "http://"+exampleHost+"/")) {
			t.Errorf("the script lacks what is configured, or the place of the address: %s", e.Script)
		}
	}
	if e := tell[api.Explanation](t, a, "GET explain?node="+nodeUUID(11)); e.Kind != "" || e.Reason == "" || e.Script != "" {
		t.Errorf("of a node with nothing to boot: %+v", e)
	}
	api1.Update(nodeUUID(9), func(n *ironictest.Node) {
		n.Volumes[0].Properties["auth_username"], n.Volumes[0].Properties["auth_password"] = "chap", "s3cret-chap"
		n.Volumes[0].Properties["auth_method"] = "CHAP"
	})
	a.say(t, `POST refresh {"node": "`+nodeUUID(9)+`"}`)
	e := tell[api.Explanation](t, a, "GET explain?node="+nodeUUID(9))
	if !e.Withheld || e.Script != "" {
		t.Errorf("a script with a secret: %+v", e)
	}
}
