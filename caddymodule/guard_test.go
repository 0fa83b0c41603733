// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// agentAt is a machine with an address of its own, on loopback.
type agentAt struct {
	e    *edge
	host string
}

// do makes a request from the machine's address; header has names and values.
func (a agentAt) do(t *testing.T, method, target, body string, header ...string) answer {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.host)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), method, a.e.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set(versionHeader, "1.68")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[header[i]] = []string{header[i+1]}
		if header[i+1] == "" {
			delete(r.Header, header[i])
		}
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (a agentAt) lookup(t *testing.T, query string, header ...string) answer {
	t.Helper()
	return a.do(t, http.MethodGet, "/v1/lookup?"+query, "", header...)
}

const node2MAC = "52:54:00:17:00:02"

// TestLookupGuard asks for the token of node 2 in the ways that there are. What happened before stands in "before".
func TestLookupGuard(t *testing.T) {
	t.Parallel()
	fetch := func(target string) func(*testing.T, *edge) {
		return func(t *testing.T, e *edge) { agentAt{e, "127.0.0.2"}.do(t, http.MethodGet, target, "") }
	}
	script := fetch("/pxelinux.cfg/" + nodeMAC(2))
	theirs, text := newConductor(t), "#!ipxe\n"
	theirs.script.Store(&text)
	const asked = "addresses=52:54:00:00:00:aa," + node2MAC
	for name, tt := range map[string]struct {
		options func(*Handler)
		before  func(*testing.T, *edge)
		from    string
		query   string
		header  []string
		status  int
		reason  string
		relayed bool
	}{
		"after its script": {before: script, query: asked, status: 200, relayed: true},
		"by UUID":          {before: script, query: "node_uuid=" + strings.ToUpper(nodeUUID(2)), status: 200, relayed: true},
		"script by UUID":   {before: fetch("/" + nodeUUID(2) + "/config"), query: asked, status: 200, relayed: true},
		"the conductor's script": {before: script, query: asked, status: 200, relayed: true,
			options: func(h *Handler) { h.ConductorHTTP, h.Serve = theirs.URL, "conductor" }},
		"never seen":                   {query: asked, status: 403, reason: reasonLookupUnseen},
		"never seen, by UUID":          {query: "node_uuid=" + nodeUUID(2), status: 403, reason: reasonLookupUnseen},
		"only HEAD of its script":      {before: func(t *testing.T, e *edge) { e.ask(t, http.MethodHead, "/pxelinux.cfg/"+nodeMAC(2)) }, query: asked, from: "127.0.0.1", status: 403, reason: reasonLookupUnseen},
		"other node seen":              {before: fetch("/pxelinux.cfg/" + nodeMAC(3)), query: asked, status: 403, reason: reasonLookupUnseen},
		"unknown to Ironic":            {query: "addresses=52:54:00:00:00:aa", status: 403, reason: reasonLookupUnseen},
		"from elsewhere":               {before: script, query: asked, from: "127.0.0.3", status: 403, reason: reasonLookupAddress},
		"from elsewhere, any":          {before: script, query: asked, from: "127.0.0.3", status: 200, relayed: true, options: func(h *Handler) { h.LookupAddress = "any" }},
		"never seen, any":              {query: asked, from: "127.0.0.3", status: 403, reason: reasonLookupUnseen, options: func(h *Handler) { h.LookupAddress = "any" }},
		"report":                       {query: asked, status: 200, relayed: true, options: func(h *Handler) { h.LookupGuard = "report" }},
		"off":                          {query: asked, status: 200, relayed: true, options: func(h *Handler) { h.LookupGuard = "off" }},
		"window over":                  {before: script, query: asked, status: 403, reason: reasonLookupUnseen, options: func(h *Handler) { h.LookupWindow = 1 }},
		"just started":                 {before: func(_ *testing.T, e *edge) { e.handler.site.began = time.Now() }, query: asked, status: 200, relayed: true},
		"just started, from elsewhere": {before: func(t *testing.T, e *edge) { e.handler.site.began = time.Now(); script(t, e) }, from: "127.0.0.3", query: asked, status: 403, reason: reasonLookupAddress},
		"no version":                   {before: script, query: asked, header: []string{versionHeader, ""}, status: 406, reason: reasonLookupVersion},
		"unmasked version":             {before: script, query: asked, header: []string{versionHeader, "1.61"}, status: 406, reason: reasonLookupVersion},
		"version in two spellings":     {before: script, query: asked, header: []string{"X_OpenStack_Ironic_API_Version", "1.61"}, status: 406, reason: reasonLookupVersion},
		"version in another header":    {before: script, query: asked, header: []string{"Openstack-Api-Version", "baremetal 1.61"}, status: 406, reason: reasonLookupVersion},
		"odd version":                  {before: script, query: asked, header: []string{versionHeader, "1.6_8"}, status: 406, reason: reasonLookupVersion},
		"newest version":               {before: script, query: asked, header: []string{versionHeader, "latest"}, status: 200, relayed: true},
		"other parameter":              {before: script, query: asked + "&_method=post", status: 400, reason: reasonQuery},
		"parameter twice":              {before: script, query: asked + "&addresses=" + node2MAC, status: 400, reason: reasonQuery},
		"bad query":                    {before: script, query: asked + ";x", status: 400, reason: reasonQuery},
		"bad UUID":                     {before: script, query: asked + "&node_uuid=2", status: 400, reason: reasonUUID},
		"no question":                  {before: script, query: "addresses=rubbish", status: 400, reason: reasonQuery},
		"many addresses":               {before: script, query: "addresses=" + strings.Repeat("52:54:00:00:00:aa,", 255) + node2MAC, status: 200, relayed: true},
		"too many addresses":           {before: script, query: "addresses=" + strings.Repeat("52:54:00:00:00:aa,", 256) + node2MAC, status: 400, reason: reasonQuery},
		"virtual media": {before: func(_ *testing.T, e *edge) {
			e.api.Update(nodeUUID(2), func(n *ironictest.Node) { n.BootInterface = "redfish-virtual-media" })
		}, query: asked, status: 200, relayed: true},
		"Ironic does not answer": {before: func(_ *testing.T, e *edge) { e.api.Inject(ironictest.Fault{Path: "/v1/ports", Status: 500}) }, query: asked, status: 503, reason: reasonUnavailable},
		// Whoever has fetched the script of one machine asks for another one's token beside it.
		"own machine beside": {before: func(t *testing.T, e *edge) { fetch("/pxelinux.cfg/52-54-00-00-00-aa")(t, e); script(t, e) },
			from: "127.0.0.2", query: "addresses=52:54:00:00:00:aa&node_uuid=" + nodeUUID(3), status: 403, reason: reasonLookupUnseen,
			options: inspectUnknown},
		"own unknown machine": {before: fetch("/pxelinux.cfg/52-54-00-00-00-aa"), query: asked, status: 404, relayed: true, options: inspectUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, tt.options)
			e.handler.site.began = time.Time{}
			if tt.before != nil {
				tt.before(t, e)
			}
			from := tt.from
			if from == "" {
				from = "127.0.0.2"
			}
			got := agentAt{e, from}.lookup(t, tt.query, tt.header...)
			if got.status != tt.status || got.header.Get(reasonHeader) != tt.reason {
				t.Errorf("%d %q %s, want %d %q", got.status, got.header.Get(reasonHeader), got.body, tt.status, tt.reason)
			}
			if relayed := e.api.Calls("lookup") > 0; relayed != tt.relayed {
				t.Errorf("relayed: %v, want %v", relayed, tt.relayed)
			}
			if tt.reason != "" && !strings.Contains(got.body, `"error_message"`) {
				t.Errorf("no error of Ironic's form: %s", got.body)
			}
			if strings.Contains(got.body, "agent_token") && tt.status != 200 {
				t.Errorf("a token: %s", got.body)
			}
		})
	}
}

func inspectUnknown(h *Handler) {
	h.UnknownMAC = "inspect"
	h.DeployKernel, h.DeployRamdisk = map[string]string{"": "http://i/k"}, map[string]string{"": "http://i/r"}
}

// TestGuardNarrowsTheQuestion wants Ironic to be asked for the node that was proven, and for no other that is named too.
func TestGuardNarrowsTheQuestion(t *testing.T) {
	t.Parallel()
	e := newEdge(t, inspectUnknown)
	a := agentAt{e, "127.0.0.2"}
	a.do(t, http.MethodGet, "/pxelinux.cfg/"+nodeMAC(2), "")
	a.lookup(t, "addresses=52:54:00:17:00:01,"+node2MAC)
	a.do(t, http.MethodGet, "/pxelinux.cfg/52-54-00-00-00-aa", "")
	a.lookup(t, "addresses=52:54:00:00:00:aa,52:54:00:00:00:bb")
	var asked []string
	for _, r := range e.api.Requests() {
		if r.Path == "/v1/lookup" {
			asked = append(asked, r.Query)
		}
	}
	if len(asked) != 2 || !strings.HasSuffix(asked[0], "node_uuid="+nodeUUID(2)) || asked[1] != "addresses=52%3A54%3A00%3A00%3A00%3Aaa" {
		t.Errorf("Ironic was asked %q", asked)
	}
}

// TestHeartbeatRenews is about an agent that goes on for long, on a node that has changed its address: Ironic took its
// token, so it is the node.
func TestHeartbeatRenews(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	e.handler.site.began = time.Time{}
	first, later, other := agentAt{e, "127.0.0.2"}, agentAt{e, "127.0.0.3"}, agentAt{e, "127.0.0.4"}
	first.do(t, http.MethodGet, "/pxelinux.cfg/"+nodeMAC(2), "")
	_, rest, _ := strings.Cut(first.lookup(t, "addresses="+node2MAC).body, `"agent_token":`)
	token, _, _ := strings.Cut(strings.Trim(rest, ` "`), `"`)
	report := func(token string) string {
		return `{"callback_url": "http://127.0.0.1:9999", "agent_version": "9", "agent_token": "` + token + `"}`
	}
	if got := other.do(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), report("guessed")); got.status != 400 {
		t.Errorf("a heartbeat with a wrong token: %d", got.status)
	}
	if got := later.do(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), report(token)); got.status != 202 {
		t.Errorf("a heartbeat with the token %q: %d %s", token, got.status, got.body)
	}
	for from, want := range map[agentAt]int{later: 200, first: 200, other: 403} {
		if got := from.lookup(t, "addresses="+node2MAC, "X-Openstack-Request-Id", "req-"+from.host); got.status != want {
			t.Errorf("a lookup from %s: %d, want %d", from.host, got.status, want)
		}
	}
}

// TestInspectionReportIsGuarded is about the other call that Ironic answers with a token, in newer versions of its API than
// an agent asks for.
func TestInspectionReportIsGuarded(t *testing.T) {
	t.Parallel()
	const report = `{"inventory": {"interfaces": [{"mac_address": "52:54:00:17:00:04"}]}}`
	for name, tt := range map[string]struct {
		query, version string
		seen           bool
		status         int
	}{
		"as the agent does":     {version: "", status: 202},
		"with a token":          {version: "1.84", status: 403},
		"the newest":            {version: "latest", status: 403},
		"named, but not seen":   {version: "1.84", query: "?node_uuid=" + nodeUUID(4), status: 403},
		"named and seen":        {version: "1.84", query: "?node_uuid=" + nodeUUID(4), seen: true, status: 202},
		"with other parameters": {version: "", query: "?_method=put", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, nil)
			e.handler.site.began = time.Time{}
			a := agentAt{e, "127.0.0.2"}
			if tt.seen {
				a.do(t, http.MethodGet, "/pxelinux.cfg/"+nodeMAC(4), "")
			}
			got := a.do(t, http.MethodPost, "/v1/continue_inspection"+tt.query, report, versionHeader, tt.version)
			if got.status != tt.status || strings.Contains(got.body, "agent_token") != tt.seen {
				t.Errorf("%d %s, want %d", got.status, got.body, tt.status)
			}
			if want := map[bool]int{true: 200, false: 403}[tt.status == 202]; a.lookup(t, "node_uuid="+nodeUUID(4)).status != want {
				t.Errorf("a lookup afterwards is not answered with %d", want)
			}
		})
	}
}

// TestClientBehindAProxy tells clients apart by the address that a trusted proxy names, and by no other's word.
func TestClientBehindAProxy(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	for trusted, want := range map[bool]int{true: 403, false: 200} {
		address := freeAddress(t)
		config := siteConfig(address, api.URL, "lookup_guard enforce")
		if trusted {
			config = strings.Replace(config, "servers {", "servers {\n\t\ttrusted_proxies static 127.0.0.0/8", 1)
		}
		if err := load(t, config); err != nil {
			t.Fatal(err)
		}
		a := agentAt{&edge{}, "127.0.0.2"}
		a.e.Server = testServer("http://" + address)
		a.do(t, http.MethodGet, "/pxelinux.cfg/"+nodeMAC(2), "", "X-Forwarded-For", "192.0.2.2")
		if got := a.lookup(t, "addresses="+node2MAC, "X-Forwarded-For", "192.0.2.3"); got.status != want {
			t.Errorf("trusted %v: %d %s, want %d", trusted, got.status, got.body, want)
		}
		if got := a.lookup(t, "addresses="+node2MAC, "X-Forwarded-For", "::ffff:192.0.2.2"); got.status != 200 {
			t.Errorf("trusted %v: its own address gets %d", trusted, got.status)
		}
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
