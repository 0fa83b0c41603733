// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestFleet asks for the script of each node of the demo fleet at each path that there is for it.
func TestFleet(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	for n, want := range map[int]string{
		1: "deploy_kernel", 2: "deploy_kernel", 3: "deploy_kernel", 4: "ipa-inspection-callback-url=http://edge.test:8080/v1/continue_inspection",
		5: "rescue_kernel", 6: "sanboot --no-describe || exit 0", 7: "/kernel root=/dev/ram0", 8: "/boot_iso", 9: "sanhook --drive 0x80 iscsi:",
		10: "inst.ks=http://edge.test:8080/", 13: "defragmenting",
	} {
		driver := e.api.Nodes()[n-1].Driver
		if driver == "" {
			driver = "ipmi"
		}
		for _, target := range []string{
			"/pxelinux.cfg/" + nodeMAC(n),
			"/v1/boot/" + strings.ReplaceAll(nodeMAC(n), "-", ":") + "/boot.ipxe",
			"/v1/boot/" + strings.ReplaceAll(nodeMAC(n), "-", "%3A") + "/boot.ipxe",
			"/" + nodeUUID(n) + "/config",
			"/v1/drivers/" + driver + "/vendor_passthru/ipxe_config?node_uuid=" + nodeUUID(n),
			"/v1/drivers/" + driver + "/vendor_passthru/ipxe_config?port_address=" + nodeMAC(n),
		} {
			got := e.get(t, target)
			if got.status != http.StatusOK || !strings.HasPrefix(got.body, "#!ipxe\n") || !strings.Contains(got.body, want) {
				t.Errorf("GET %s = %d\n%s\nwant %q in it", target, got.status, got.body, want)
			}
			if got.header.Get("Content-Length") != strconv.Itoa(len(got.body)) || got.header.Get("Cache-Control") != "no-store" ||
				!strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
				t.Errorf("GET %s has header %v", target, got.header)
			}
			head := e.ask(t, http.MethodHead, target)
			if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
				t.Errorf("HEAD %s = %d, %v; want the same length", target, head.status, head.header)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	for name, tt := range map[string]struct {
		method, target string
		status         int
		reason         string
	}{
		"available node":          {"GET", "/pxelinux.cfg/" + nodeMAC(11), 404, "state"},
		"enrolled node":           {"GET", "/pxelinux.cfg/" + nodeMAC(12), 404, "state"},
		"unknown MAC":             {"GET", "/pxelinux.cfg/52-54-00-99-99-99", 404, "no_node"},
		"unknown UUID":            {"GET", "/8c3c2f8e-9c0d-4d52-a1f3-00000000ffff/config", 404, "no_node"},
		"no MAC":                  {"GET", "/pxelinux.cfg/default", 404, "mac"},
		"no MAC in boot":          {"GET", "/v1/boot/default/boot.ipxe", 400, "mac"},
		"neither parameter":       {"GET", "/v1/drivers/ipmi/vendor_passthru/ipxe_config", 400, "query"},
		"both parameters":         {"GET", "/v1/drivers/ipmi/vendor_passthru/ipxe_config?node_uuid=" + nodeUUID(1) + "&port_address=" + nodeMAC(1), 400, "query"},
		"one parameter twice":     {"GET", "/v1/drivers/ipmi/vendor_passthru/ipxe_config?node_uuid=" + nodeUUID(1) + "&node_uuid=" + nodeUUID(2), 400, "query"},
		"bad port address":        {"GET", "/v1/drivers/ipmi/vendor_passthru/ipxe_config?port_address=x", 400, "mac"},
		"bad node uuid":           {"GET", "/v1/drivers/ipmi/vendor_passthru/ipxe_config?node_uuid=rack17-n01", 400, "uuid"},
		"other driver":            {"GET", "/v1/drivers/redfish/vendor_passthru/ipxe_config?node_uuid=" + nodeUUID(1), 404, "driver"},
		"POST of a script":        {"POST", "/pxelinux.cfg/" + nodeMAC(1), 405, "method"},
		"PUT of an image":         {"PUT", "/" + nodeUUID(1) + "/deploy_kernel", 405, "method"},
		"POST of the bootstrap":   {"POST", "/boot.ipxe", 405, "method"},
		"HEAD of a lookup":        {"HEAD", "/v1/lookup?addresses=52:54:00:17:00:01", 405, "method"},
		"POST of a lookup":        {"POST", "/v1/lookup", 405, "method"},
		"GET of a heartbeat":      {"GET", "/v1/heartbeat/" + nodeUUID(1), 405, "method"},
		"PUT of the root":         {"PUT", "/", 405, "method"},
		"list of nodes":           {"GET", "/v1/nodes", 403, "api"},
		"delete of a node":        {"DELETE", "/v1/nodes/" + nodeUUID(1), 403, "api"},
		"other vendor method":     {"GET", "/v1/drivers/ipmi/vendor_passthru?method=x", 403, "api"},
		"encoded path":            {"GET", "/v1/%6eodes", 400, "path"},
		"kickstart, no conductor": {"GET", "/" + nodeUUID(10) + "/ks.cfg", 404, "secret"},
		"image of another kind":   {"GET", "/" + nodeUUID(1) + "/boot_iso", 404, "no_image"},
		"image of unknown node":   {"GET", "/8c3c2f8e-9c0d-4d52-a1f3-00000000ffff/deploy_kernel", 404, "no_node"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := e.ask(t, tt.method, tt.target)
			if got.status != tt.status || got.header.Get(reasonHeader) != tt.reason {
				t.Fatalf("%s %s = %d %s, want %d %s", tt.method, tt.target, got.status, got.header.Get(reasonHeader), tt.status, tt.reason)
			}
			if tt.method == http.MethodHead {
				return
			}
			var outer struct {
				Message string `json:"error_message"`
			}
			var inner struct{ Faultstring, Description string }
			if err := json.Unmarshal([]byte(got.body), &outer); err != nil {
				t.Fatalf("%v: %s", err, got.body)
			}
			if err := json.Unmarshal([]byte(outer.Message), &inner); err != nil || inner.Faultstring+inner.Description == "" {
				t.Errorf("no text in %s: %v", got.body, err)
			}
			if tt.status == http.StatusMethodNotAllowed && got.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

// TestFourCauses gives each cause of having no script an answer of its own.
func TestFourCauses(t *testing.T) {
	t.Parallel()
	const mac = "/pxelinux.cfg/52-54-00-17-00-01"
	for name, tt := range map[string]struct {
		fault  ironictest.Fault
		status int
		reason string
	}{
		"no such node":        {ironictest.Fault{Path: "/v1/ports", Status: 200, Body: `{"ports": []}`, Header: http.Header{"Content-Type": {"application/json"}}}, 404, "no_node"},
		"internal error":      {ironictest.Fault{Path: "/v1/", Status: 500}, 503, "ironic_unavailable"},
		"credentials refused": {ironictest.Fault{Path: "/v1/ports", Status: 401}, 503, "ironic_unavailable"},
		"connection dropped":  {ironictest.Fault{Path: "/v1/", Drop: true}, 503, "ironic_unavailable"},
		"bad JSON":            {ironictest.Fault{Path: "/v1/ports", Status: 200, Body: `{"ports": [`, Header: http.Header{"Content-Type": {"application/json"}}}, 502, "ironic_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, nil)
			e.api.Inject(tt.fault)
			got := e.get(t, mac, "User-Agent", "curl/8")
			if got.status != tt.status || got.header.Get(reasonHeader) != tt.reason {
				t.Errorf("GET = %d %s, want %d %s", got.status, got.header.Get(reasonHeader), tt.status, tt.reason)
			}
			if tt.status == http.StatusServiceUnavailable {
				if n, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || n < 1 || n > 15 {
					t.Errorf("Retry-After = %q, want some seconds", got.header.Get("Retry-After"))
				}
			}
			if tt.status == http.StatusBadGateway { // the console of a node shows why
				if got := e.get(t, mac); got.status != 200 || !strings.Contains(got.body, "cannot be used") || !strings.Contains(got.body, "reboot") {
					t.Errorf("iPXE gets %d\n%s", got.status, got.body)
				}
			}
			e.api.Heal()
			if tt.status != http.StatusNotFound {
				if got := e.get(t, mac); got.status != 200 || !strings.Contains(got.body, "deploy_kernel") {
					t.Errorf("after the outage: %d\n%s", got.status, got.body)
				}
			}
		})
	}
}

func TestUnknownMAC(t *testing.T) {
	t.Parallel()
	for choice, want := range map[string]string{
		"local":   "sanboot --no-describe || exit 0\n",
		"inspect": "kernel http://edge.test:8080/00000000-0000-0000-0000-000000000000/deploy_kernel selinux=0 troubleshoot=0 text nofb vga=normal ipa-inspection-callback-url=",
	} {
		e := newEdge(t, func(h *Handler) {
			h.UnknownMAC = choice
			h.DeployKernel = map[string]string{"": serveImages(t).URL + "/k"}
			h.DeployRamdisk = map[string]string{"": serveImages(t).URL + "/r"}
		})
		if got := e.get(t, "/pxelinux.cfg/52-54-00-99-99-99"); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("unknown_mac %s = %d\n%s", choice, got.status, got.body)
		}
		if choice == "inspect" {
			if got := e.get(t, "/00000000-0000-0000-0000-000000000000/deploy_kernel"); got.status != 200 || got.body != string(imageBytes) {
				t.Errorf("the kernel of an unknown machine: %d", got.status)
			}
		}
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.FallbackScript = "inspector.ipxe" })
	got := e.get(t, "/boot.ipxe")
	if got.status != 200 || !strings.Contains(got.body, "chain pxelinux.cfg/${net${nic}/mac:hexhyp}") || !strings.Contains(got.body, "chain inspector.ipxe\n") {
		t.Errorf("GET /boot.ipxe = %d\n%s", got.status, got.body)
	}
}

// TestScriptsDoNotTrustTheHost asks without public_url and with hostile and portless Host headers.
func TestScriptsDoNotTrustTheHost(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.PublicURL = "" })
	for _, host := range []string{"evil.example", "127.0.0.1", ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/pxelinux.cfg/"+nodeMAC(1), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got := new(strings.Builder)
		_ = response.Write(got)
		response.Body.Close()
		if !strings.Contains(got.String(), "kernel "+e.URL+"/"+nodeUUID(1)) {
			t.Errorf("with Host %q:\n%s\nwant URLs at %s", host, got, e.URL)
		}
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	id := func() string {
		body := e.get(t, "/pxelinux.cfg/"+nodeMAC(1)).body
		_, rest, _ := strings.Cut(body, "ipa-global-request-id=")
		id, _, _ := strings.Cut(rest, " ")
		return id
	}
	first, second := id(), id()
	if first == second || len(first) != 40 || len(second) != 40 || !strings.HasPrefix(second, "req-") {
		t.Errorf("request ids %q and %q, want two", first, second)
	}
}

func TestCacheStatusAndCalls(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.NodeTTL = 1 << 40 })
	for _, want := range []string{"ironic-edge; fwd=miss", "ironic-edge; hit; ttl=1099"} {
		if got := e.get(t, "/pxelinux.cfg/"+nodeMAC(1)).header.Get("Cache-Status"); got != want {
			t.Errorf("Cache-Status = %q, want %q", got, want)
		}
	}
	if ports, nodes := e.api.Calls("ports"), e.api.Calls("node"); ports != 1 || nodes != 1 {
		t.Errorf("%d calls for ports and %d for nodes, want one each", ports, nodes)
	}
	if n := e.api.Calls("lookup"); n != 0 {
		t.Errorf("the edge called lookup %d times by itself", n)
	}
}

// TestAgentMakesStale changes a node's state, which the edge sees at once after a heartbeat or a lookup.
func TestAgentMakesStale(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(t *testing.T, e *edge){
		"heartbeat": func(t *testing.T, e *edge) {
			e.ask(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), "Content-Type", "application/json")
		},
		"lookup by address": func(t *testing.T, e *edge) {
			e.get(t, "/v1/lookup?addresses=52:54:00:17:00:02,52:54:00:00:00:00", "X-OpenStack-Ironic-API-Version", "1.68")
		},
		"lookup by uuid": func(t *testing.T, e *edge) {
			e.get(t, "/v1/lookup?node_uuid="+nodeUUID(2), "X-OpenStack-Ironic-API-Version", "1.68")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, func(h *Handler) { h.NodeTTL = 1 << 40 })
			target := "/pxelinux.cfg/" + nodeMAC(2)
			e.get(t, target)
			e.api.SetProvisionState(nodeUUID(2), "active")
			if got := e.get(t, target); !strings.Contains(got.body, "deploy_kernel") {
				t.Fatalf("the cache did not hold the node:\n%s", got.body)
			}
			call(t, e)
			if got := e.get(t, target); !strings.Contains(got.body, "sanboot --no-describe") {
				t.Errorf("after the %s the script is still:\n%s", name, got.body)
			}
		})
	}
}

func TestLookupIsRelayed(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	got := e.get(t, "/v1/lookup?addresses=52:54:00:17:00:02", "X-OpenStack-Ironic-API-Version", "1.68")
	if got.status != 200 || !strings.Contains(got.body, nodeUUID(2)) || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("lookup = %d %v %s", got.status, got.header, got.body)
	}
	for _, target := range []string{"/", "/v1", "/v1/"} {
		if got := e.get(t, target); got.status != 200 || !strings.Contains(got.body, "version") {
			t.Errorf("GET %s = %d %s", target, got.status, got.body)
		}
	}
}

func TestAbsoluteFormIsRefused(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://169.254.169.254/latest", nil)
	if err != nil {
		t.Fatal(err)
	}
	proxied := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(e.URL) }}
	defer proxied.CloseIdleConnections()
	response, err := proxied.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 400 || response.Header.Get(reasonHeader) != reasonAbsoluteForm {
		t.Errorf("a forward proxy's request = %d %s", response.StatusCode, response.Header.Get(reasonHeader))
	}
}

// TestHeadersAreOfOneAnswer changes an answer's header in place, as Caddy's header directive does when it replaces a part
// of a value, and wants the next answer to be without the change.
func TestHeadersAreOfOneAnswer(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	for _, target := range []string{"/boot.ipxe", "/pxelinux.cfg/" + nodeMAC(1), "/v1/nodes", "/v1/lookup?addresses=52:54:00:99:99:99"} {
		for range 2 {
			w := &spoilsHeaders{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(204); return nil })
			if err := e.handler.ServeHTTP(w, r, next); err != nil {
				t.Fatal(err)
			}
			for name, values := range w.found {
				if strings.Contains(values, "spoiled") {
					t.Errorf("GET %s has %s: %s, which was done to the answer before it", target, name, values)
				}
			}
		}
	}
}

// spoilsHeaders notes the header that it is given, and then writes into its values.
type spoilsHeaders struct {
	*httptest.ResponseRecorder
	found map[string]string
}

func (s *spoilsHeaders) WriteHeader(status int) {
	s.found = make(map[string]string)
	for name, values := range s.Header() {
		s.found[name] = strings.Join(values, ", ")
		for i := range values {
			values[i] += " spoiled"
		}
	}
	s.ResponseRecorder.WriteHeader(status)
}
