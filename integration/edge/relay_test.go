// SPDX-License-Identifier: Apache-2.0

//go:build integration

package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/realironic"
)

// between stands between the edge and Ironic. It counts what came by the edge's door, and holds lookups back.
type between struct {
	*httptest.Server
	walked      atomic.Int64
	asked, open chan struct{}
	answered    chan struct{}
}

// walker is the header of requests that nothing of may reach Ironic.
const walker = "X-Walker"

func newBetween(t *testing.T, ironic string) *between {
	t.Helper()
	to, err := url.Parse(ironic)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	b := &between{asked: make(chan struct{}, 10), open: make(chan struct{}, 10), answered: make(chan struct{}, 10)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(walker) != "" {
			b.walked.Add(1)
		}
		if r.URL.Path != "/v1/lookup" {
			proxy.ServeHTTP(w, r)
			return
		}
		b.asked <- struct{}{}
		select {
		case <-b.open:
		case <-r.Context().Done():
			return // the edge has given the call up; the test then finds the token lost
		}
		proxy.ServeHTTP(w, r)
		b.answered <- struct{}{}
	}))
	t.Cleanup(b.Close)
	return b
}

// TestRelay puts the edge before real Ironic.
func TestRelay(t *testing.T) {
	binary, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i, err := realironic.Start(t.Context(), realironic.Release39, t.TempDir(), realironic.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	node := drive(t, i, "wait-call-back-direct")["wait-call-back-direct"]
	b := newBetween(t, i.URL)
	e, err := Start(t.Context(), binary, t.TempDir(), b.URL, "deploy_kernel http://127.0.0.1:1/k", "deploy_ramdisk http://127.0.0.1:1/r")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	t.Run("closed", func(t *testing.T) { closed(t, e, b) })
	t.Run("killed", func(t *testing.T) { killed(t, e, b, node) })
}

// closed walks the API of real Ironic and wants every part of it that is not the agent's refused by the edge, whose site
// would relay anything.
func closed(t *testing.T, e *Edge, b *between) {
	text, err := os.ReadFile("../../caddymodule/testdata/ironic_routes.txt")
	if err != nil {
		t.Fatal(err)
	}
	python, err := realironic.Python(realironic.Release39)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, "testdata/routes.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(string(text), "\n")
	if real := strings.Split(strings.TrimSpace(string(out)), "\n"); len(real) < 300 {
		t.Errorf("Ironic's controllers have %d routes, which cannot be all", len(real))
	} else {
		for _, route := range real {
			if !slices.Contains(known, route) {
				t.Errorf("the list of routes lacks %s", route)
			}
		}
	}
	client := &http.Transport{MaxIdleConnsPerHost: 2}
	defer client.CloseIdleConnections()
	for _, line := range known {
		method, path, ok := strings.Cut(line, " ")
		if !ok || method == "#" || slices.Contains([]string{"/v1", "/v1/lookup", "/v1/heartbeat/{id}", "/v1/continue_inspection"}, path) {
			continue
		}
		path = strings.ReplaceAll(path, "{id}", "6d4c7e01-1700-4000-8000-000000000001")
		for _, spelled := range []string{path, strings.TrimPrefix(path, "/v1"), "/" + path} {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.Address+spelled, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
			r.Header.Set(walker, "1")
			response, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusForbidden || response.Header.Get("X-Ironic-Edge-Reason") != "api" {
				t.Errorf("%s %s: %d, reason %q", method, spelled, response.StatusCode, response.Header.Get("X-Ironic-Edge-Reason"))
			}
		}
	}
	if n := b.walked.Load(); n != 0 {
		t.Errorf("%d of the requests reached Ironic", n)
	}
}

// killed is an agent whose first lookup loses its connection while Ironic makes the token, which it gives away once. The
// agent asks again, and its heartbeat is taken.
func killed(t *testing.T, e *Edge, b *between, node *realironic.Node) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	get := func(target string) (int, []byte) {
		t.Helper()
		return send(t, ctx, e, http.MethodGet, target, "")
	}
	if status, body := get("/pxelinux.cfg/" + strings.ReplaceAll(node.MACs[0], ":", "-")); status != 200 || !strings.Contains(string(body), "ipa-api-url") {
		t.Fatalf("the script: %d %s", status, body)
	}
	lookup := "/v1/lookup?addresses=" + node.MACs[0]
	conn, err := net.Dial("tcp", e.Address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nX-OpenStack-Ironic-API-Version: 1.68\r\n\r\n", lookup, e.Address); err != nil {
		t.Fatal(err)
	}
	receive := func(c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-ctx.Done():
			t.Fatalf("%v\n%s", ctx.Err(), e.Log())
		}
	}
	receive(b.asked)
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	b.open <- struct{}{}
	receive(b.answered)
	b.open <- struct{}{} // for an edge that asks again, which would get the mask

	status, body := get(lookup)
	var answer struct {
		Config struct {
			Token string `json:"agent_token"`
		}
	}
	if err := json.Unmarshal(body, &answer); status != 200 || err != nil || len(answer.Config.Token) < 20 {
		t.Fatalf("the second lookup: %d %v; the token has %d characters", status, err, len(answer.Config.Token))
	}
	report := `{"callback_url": "http://127.0.0.1:9", "agent_version": "9.0.0", "agent_token": "` + answer.Config.Token + `"}`
	if status, body := send(t, ctx, e, http.MethodPost, "/v1/heartbeat/"+node.UUID, report); status != http.StatusAccepted {
		t.Errorf("the heartbeat: %d %s", status, body)
	}
	if strings.Contains(e.Log(), answer.Config.Token) {
		t.Error("the log has the token")
	}
	for _, want := range []string{`ironic_edge_agent_lookups_total{decision="allowed"} 2`, "ironic_edge_agent_lookup_replays_total 1"} {
		if !strings.Contains(e.Metrics(), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// send makes an agent's request.
func send(t *testing.T, ctx context.Context, e *Edge, method, target, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+e.Address+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-OpenStack-Ironic-API-Version", "1.68")
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}
