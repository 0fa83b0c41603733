// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

const fleetUUID = "6d4c7e01-1700-4000-8000-%012d"

// nodeUUID and nodeMAC are those of the demo fleet's n-th node.
func nodeUUID(n int) string { return fmt.Sprintf(fleetUUID, n) }
func nodeMAC(n int) string  { return fmt.Sprintf("52-54-00-17-00-%02x", n) }

// edge is a handler before the demo fleet's Ironic, in a server of its own. What comes after it in the site is next,
// which relays to that Ironic.
type edge struct {
	*httptest.Server
	api     *ironictest.Server
	handler *Handler
	asked   atomic.Int64
	asks    sync.Map // by number: closed when the request has been handled to its end
}

// askHeader has the number of a request, which the handler does not see.
const askHeader = "X-Test-Ask"

// imageBytes is the content of each image of the fleet.
var imageBytes = bytes.Repeat([]byte("0123456789abcdef"), 4096)

// serveImages is the origin of the fleet's images.
func serveImages(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"`+strings.TrimPrefix(r.URL.Path, "/")+`"`)
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(imageBytes))
	}))
	t.Cleanup(s.Close)
	return s
}

func newEdge(t *testing.T, options func(*Handler)) *edge {
	t.Helper()
	api := ironictest.Start(ironictest.DemoFleet(serveImages(t).URL)...)
	t.Cleanup(api.Close)
	return newEdgeBefore(t, api, options)
}

func newEdgeBefore(t *testing.T, api *ironictest.Server, options func(*Handler)) *edge {
	t.Helper()
	h := &Handler{Ironic: Ironic{URL: api.URL}, PublicURL: "http://edge.test:8080"}
	if options != nil {
		options(h)
	}
	h.AllowOrigins = append(h.AllowOrigins, imageOrigins(api.Nodes())...)
	if err := provision(t, h); err != nil {
		t.Fatal(err)
	}
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		api.ServeHTTP(w, r)
		return nil
	})
	e := &edge{api: api, handler: h}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if done, ok := e.asks.LoadAndDelete(r.Header.Get(askHeader)); ok {
			defer close(done.(chan struct{}))
		}
		r.Header.Del(askHeader)
		if err := h.ServeHTTP(w, r, next); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

// imageOrigins are the servers at which nodes' images are: on this machine, so that the configuration has to name them.
func imageOrigins(nodes []ironictest.Node) []string {
	var origins []string
	for _, n := range nodes {
		for _, info := range []map[string]any{n.DriverInfo, n.InstanceInfo} {
			for _, value := range info {
				ref, _ := value.(string)
				if u, err := url.Parse(ref); err == nil && u.Scheme == "http" && !slices.Contains(origins, "http://"+u.Host) {
					origins = append(origins, "http://"+u.Host)
				}
			}
		}
	}
	return origins
}

// provisioning keeps tests apart in caddy.ProvisionContext, which writes to variables of its package: Caddy itself loads
// one configuration at a time.
var provisioning sync.Mutex

// provision prepares a handler without a server, until the test's end.
func provision(t *testing.T, h *Handler) error {
	t.Helper()
	provisioning.Lock()
	defer provisioning.Unlock()
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return h.Provision(ctx)
}

// answer is what a client saw.
type answer struct {
	status int
	header http.Header
	body   string
}

func (e *edge) ask(t *testing.T, method, target string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, e.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "iPXE/1.0.0+git-20190125.36a4c85-5.1")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	// A client has the last byte before the edge has written down that it went out.
	number, done := strconv.FormatInt(e.asked.Add(1), 10), make(chan struct{})
	if e.handler != nil {
		e.asks.Store(number, done)
		r.Header.Set(askHeader, number)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if e.handler != nil {
		defer func() { <-done }()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (e *edge) get(t *testing.T, target string, header ...string) answer {
	t.Helper()
	return e.ask(t, http.MethodGet, target, header...)
}

// testServer stands for a server that runs elsewhere in this process.
func testServer(url string) *httptest.Server { return &httptest.Server{URL: url} }
