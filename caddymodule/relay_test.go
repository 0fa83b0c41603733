// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// relayed runs Caddy with a boot site whose reverse_proxy leads to upstream, and returns the site's address.
func relayed(t *testing.T, api, upstream string, options ...string) string {
	t.Helper()
	address := freeAddress(t)
	config := strings.Replace(siteConfig(address, api, options...), "reverse_proxy "+api, "reverse_proxy "+upstream, 1)
	config = "{\n\torder edge_test_watch first\n" + strings.TrimPrefix(config, "{\n")
	config = strings.Replace(config, "\tironic_edge {\n\t\tironic", "\tedge_test_watch\n\tironic_edge {\n\t\tironic", 1)
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return address
}

// watch is a handler before the edge that tells when a lookup's client is gone, as far as Caddy knows.
type watch struct{}

var watched = make(chan struct{}, 100)

func init() {
	caddy.RegisterModule(watch{})
	httpcaddyfile.RegisterHandlerDirective("edge_test_watch", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return watch{}, nil
	})
}

func (watch) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.edge_test_watch", New: func() caddy.Module { return watch{} }}
}

func (watch) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.URL.Path == "/v1/lookup" {
		stop := context.AfterFunc(r.Context(), func() { watched <- struct{}{} })
		defer stop()
	}
	return next.ServeHTTP(w, r)
}

// lockedIronic is Ironic with a lock before each lookup.
type lockedIronic struct {
	*httptest.Server
	asked, open chan struct{}
	answered    chan struct{}
}

func newLockedIronic(t *testing.T, api *ironictest.Server) *lockedIronic {
	t.Helper()
	g := &lockedIronic{asked: make(chan struct{}, 10), open: make(chan struct{}, 10), answered: make(chan struct{}, 10)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/lookup" {
			api.ServeHTTP(w, r)
			return
		}
		g.asked <- struct{}{}
		select {
		case <-g.open:
			api.ServeHTTP(w, r)
			g.answered <- struct{}{}
		case <-r.Context().Done():
			t.Error("the lookup was ended before Ironic answered")
			g.answered <- struct{}{}
		}
	}))
	t.Cleanup(g.Close)
	return g
}

// sent writes a request and returns its connection.
func sent(t *testing.T, address, target string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%s: 1.68\r\n\r\n", target, address, versionHeader); err != nil {
		t.Fatal(err)
	}
	return conn
}

func received(t *testing.T, conn net.Conn) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

const lookup2 = "/v1/lookup?addresses=" + node2MAC

// tokenOf is the one in an answer to a lookup.
func tokenOf(t *testing.T, a answer) string {
	t.Helper()
	_, rest, ok := strings.Cut(a.body, `"agent_token":`)
	value, _, _ := strings.Cut(strings.TrimLeft(rest, ` "`), `"`)
	if a.status != http.StatusOK || !ok || value == "" {
		t.Fatalf("%d %s, want a token", a.status, a.body)
	}
	return value
}

const masked = "******"

// TestKilledClientGetsItsToken is about a client whose connection dies while Ironic makes the token. Ironic masks it from
// the second time on, and an agent that gets the mask is lost.
func TestKilledClientGetsItsToken(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	ironic := newLockedIronic(t, api)
	address := relayed(t, api.URL, ironic.URL)

	killed := sent(t, address, lookup2)
	<-ironic.asked
	if err := killed.(*net.TCPConn).SetLinger(0); err != nil { // a reset, as of a machine that has gone
		t.Fatal(err)
	}
	killed.Close()
	<-watched
	ironic.open <- struct{}{}
	<-ironic.answered

	first := received(t, sent(t, address, lookup2))
	if got := tokenOf(t, first); got == masked {
		t.Fatal("the token is lost")
	}
	if first.header.Get("Content-Type") != "application/json" || first.header.Get("X-Openstack-Ironic-Api-Version") == "" ||
		first.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", first.header)
	}
	if n := api.Calls("lookup"); n != 1 {
		t.Errorf("Ironic was asked %d times", n)
	}
	// It is not handed out for ever: twice in all, and the edge may have taken the killed client for one that had it.
	for range givenAtMost {
		ironic.open <- struct{}{}
	}
	last := ""
	for range givenAtMost {
		last = tokenOf(t, received(t, sent(t, address, lookup2)))
	}
	if last != masked {
		t.Errorf("the token is given again and again")
	}
}

// TestLostAnswerIsGivenAgain is about a client that was there when the answer was written, and did not get it.
func TestLostAnswerIsGivenAgain(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := relayed(t, api.URL, api.URL, "lookup_address any")
	e := &edge{Server: testServer("http://" + address)}
	here, there := agentAt{e, "127.0.0.1"}, agentAt{e, "127.0.0.2"}
	first := tokenOf(t, here.lookup(t, "addresses="+node2MAC))
	if got := tokenOf(t, there.lookup(t, "addresses="+node2MAC)); got != masked {
		t.Error("another client gets the token")
	}
	if got := tokenOf(t, here.lookup(t, "addresses="+node2MAC, "X-Openstack-Request-Id", "req-2")); got != masked {
		t.Error("another boot gets the token")
	}
	if err := load(t, siteConfig(address, api.URL, "lookup_address any", "node_ttl 1s")); err != nil { // it survives a reload
		t.Fatal(err)
	}
	if got := tokenOf(t, here.lookup(t, "addresses="+node2MAC)); got != first {
		t.Errorf("the same client gets %q, want %q again", got, first)
	}
	if got := tokenOf(t, here.lookup(t, "addresses="+node2MAC)); got != masked {
		t.Error("the token is given a third time")
	}
}

// TestLookupsAtOnce sends the same lookup twice before Ironic answers.
func TestLookupsAtOnce(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	ironic := newLockedIronic(t, api)
	address := relayed(t, api.URL, ironic.URL)
	one := sent(t, address, lookup2)
	<-ironic.asked
	other := sent(t, address, lookup2)
	ironic.open <- struct{}{}
	a, b := tokenOf(t, received(t, one)), tokenOf(t, received(t, other))
	if a != b || a == masked || api.Calls("lookup") != 1 {
		t.Errorf("tokens %q and %q after %d lookups, want one", a, b, api.Calls("lookup"))
	}
}

// TestIronicIsGone wants an agent told to come back, in the form of Ironic's errors, whatever it is that is gone.
func TestIronicIsGone(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	var behaves atomic.Value
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch behaves.Load() {
		case "drops":
			panic(http.ErrAbortHandler)
		case "breaks off":
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"node": {"uuid": "half of it`))
		case "proxy 502", "proxy 503", "proxy 504":
			status, _ := strconv.Atoi(behaves.Load().(string)[6:])
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html>"))
		}
	}))
	defer broken.Close()
	for _, how := range []string{"refuses", "drops", "breaks off", "proxy 502", "proxy 503", "proxy 504"} {
		upstream := broken.URL
		if how == "refuses" {
			upstream = "http://" + freeAddress(t)
		}
		behaves.Store(how)
		t.Run(how, func(t *testing.T) {
			a := agentAt{&edge{Server: testServer("http://" + relayed(t, api.URL, upstream))}, "127.0.0.1"}
			for target, body := range map[string]string{lookup2: "", "/v1/heartbeat/" + nodeUUID(2): "{}", "/v1/continue_inspection": "{}", "/": ""} {
				method := http.MethodPost
				if body == "" {
					method = http.MethodGet
				}
				got := a.do(t, method, target, body, versionHeader, map[bool]string{true: "1.68"}[target == lookup2])
				wait, err := strconv.Atoi(got.header.Get("Retry-After"))
				if got.status != 503 || err != nil || wait < 1 || got.header.Get(reasonHeader) != reasonUnavailable ||
					!strings.Contains(got.body, `"error_message"`) || got.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s = %d %v %s", method, target, got.status, got.header, got.body)
				}
			}
		})
	}
}

// TestIronicsOwnAnswersStay wants what Ironic itself says to an agent to reach it as it is.
func TestIronicsOwnAnswersStay(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	for _, status := range []int{400, 404, 406, 409, 500, 503} {
		e.api.Heal()
		e.api.Inject(ironictest.Fault{Path: "/v1/heartbeat/", Status: status, Header: http.Header{"Content-Type": {"application/json"}, "X-Odd": {"1"}}, Body: `{"error_message": "x"}`})
		got := agentAt{e, "127.0.0.1"}.do(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), "{}")
		if got.status != status || got.body != `{"error_message": "x"}` || got.header.Get("X-Odd") != "1" || got.header.Get(reasonHeader) != "" {
			t.Errorf("%d becomes %d %v %s", status, got.status, got.header, got.body)
		}
		if (got.header.Get("Retry-After") != "") != (status == 503) {
			t.Errorf("%d has Retry-After %q", status, got.header.Get("Retry-After"))
		}
	}
}

// TestLargeAnswerGoesThrough has an answer that is too large to be held.
func TestLargeAnswerGoesThrough(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	body := strings.Repeat("0123456789abcdef", maxHeld/8)
	e.api.Inject(ironictest.Fault{Path: "/v1/lookup", Status: 200, Header: http.Header{"X-Odd": {"1"}}, Body: body})
	for range 3 {
		if got := (agentAt{e, "127.0.0.1"}).lookup(t, "addresses="+node2MAC); got.body != body || got.header.Get("X-Odd") != "1" {
			t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.header)
		}
	}
	if n := e.api.Calls("lookup"); n != 3 {
		t.Errorf("Ironic was asked %d times: too large an answer was kept", n)
	}
}

// TestReportsAreBounded sends bodies of every size and kind, through Caddy's own relay.
func TestReportsAreBounded(t *testing.T) {
	var mu sync.Mutex
	var got []int
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // what was cut is nothing
		}
		mu.Lock()
		got = append(got, len(body))
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}))
	defer upstream.Close()
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := relayed(t, api.URL, upstream.URL)
	for _, tt := range []struct {
		target  string
		size    int
		chunked bool
		kind    string
		status  int
		reason  string
	}{
		{"/v1/heartbeat/" + nodeUUID(2), maxHeartbeat, false, "application/json", 202, ""},
		{"/v1/heartbeat/" + nodeUUID(2), maxHeartbeat, true, "application/json; charset=UTF-8", 202, ""},
		{"/v1/heartbeat/" + nodeUUID(2), maxHeartbeat + 1, false, "application/json", 413, reasonTooLarge},
		{"/v1/heartbeat/" + nodeUUID(2), maxHeartbeat + 1, true, "application/json", 413, reasonTooLarge},
		{"/v1/heartbeat/" + nodeUUID(2), 2, false, "application/x-www-form-urlencoded", 415, reasonType},
		{"/v1/heartbeat/" + nodeUUID(2), 2, false, "", 415, reasonType},
		{"/v1/heartbeat/" + nodeUUID(2) + "?callback_url=x", 2, false, "application/json", 400, reasonQuery},
		{"/v1/continue_inspection", maxInspection, false, "application/json", 202, ""},
		{"/v1/continue_inspection", maxInspection + 1, false, "application/json", 413, reasonTooLarge},
		{"/v1/continue_inspection", maxInspection + 1, true, "application/json", 413, reasonTooLarge},
		{"/v1/continue_inspection", 2, false, "text/plain", 415, reasonType},
	} {
		mu.Lock()
		got = nil
		mu.Unlock()
		var body io.Reader = bytes.NewReader(make([]byte, tt.size))
		if tt.chunked {
			body = struct{ io.Reader }{body}
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+tt.target, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", tt.kind)
		name := fmt.Sprintf("%s, %d bytes of %q, chunked %v", tt.target, tt.size, tt.kind, tt.chunked)
		r.Header.Set("Expect", "100-continue") // else the end of a connection with a body on its way may be all that is seen of the answer
		response, err := (&http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}).RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		response.Body.Close()
		mu.Lock()
		if response.StatusCode != tt.status || response.Header.Get(reasonHeader) != tt.reason {
			t.Errorf("%s: %d %s, want %d %s", name, response.StatusCode, response.Header.Get(reasonHeader), tt.status, tt.reason)
		}
		if tt.status == 202 != (len(got) == 1 && got[0] == tt.size) || tt.status != 202 && len(got) > 0 {
			t.Errorf("%s: Ironic got bodies of %v bytes", name, got)
		}
		mu.Unlock()
	}
}

// TestDialIsTriedAgain has an Ironic that comes back while a heartbeat waits: Caddy's own lb_try_duration makes it safe,
// since nothing had been sent.
func TestDialIsTriedAgain(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	target := freeAddress(t)
	address := relayed(t, api.URL, target+" {\n\t\tlb_try_duration 1m\n\t\tlb_try_interval 20ms\n\t}")
	done := make(chan answer)
	go func() {
		done <- agentAt{&edge{Server: testServer("http://" + address)}, "127.0.0.1"}.do(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), `{"a": 1}`)
	}()
	var bodies atomic.Value
	l, err := net.Listen("tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies.Store(string(body))
		w.WriteHeader(http.StatusAccepted)
	})}}
	server.Start()
	defer server.Close()
	if got := <-done; got.status != http.StatusAccepted || bodies.Load() != `{"a": 1}` {
		t.Errorf("%d %s, Ironic got %v", got.status, got.body, bodies.Load())
	}
}
