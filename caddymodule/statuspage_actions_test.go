// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// operatorsSite is the one of Caddyfile.example, which stands there as a comment, at another address.
func operatorsSite(t *testing.T, address string) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	_, site, found := strings.Cut(string(text), "# https://edge.example {\n")
	if !found {
		t.Fatal("the example has no site for operators")
	}
	var out strings.Builder
	out.WriteString("http://" + address + " {\n")
	for line := range strings.Lines(site) {
		out.WriteString(strings.TrimPrefix(line, "#"))
	}
	return out.String()
}

// TestActionsNeedTheOperator has the page of the example on a site with a password, and one to read on the boot site: who
// has no password changes nothing.
func TestActionsNeedTheOperator(t *testing.T) {
	t.Setenv("EDGE_PASSWORD_HASH", "$2a$04$QhvXTsE96AhFT4pzHY1mgO90A7vFBmlC6y75dp588YShJSHRBTWSu") // of "right", made cheaply
	origin := newImageServer(t, image(100_000))
	ironicAPI := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer ironicAPI.Close()
	boot, operators := freeAddress(t), freeAddress(t)
	config := siteConfig(boot, ironicAPI.URL, "node_ttl 1h", "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t}", "allow_origins "+origin.URL)
	config = strings.Replace(config, "\treverse_proxy", "\tironic_edge_status\n\treverse_proxy", 1) + operatorsSite(t, operators)
	a := administer(t, config)
	ref := origin.URL + "/ipa.kernel"
	lastLine(t, a, `POST prefetch {"image":"`+ref+`"}`)
	stored := func() int { return len(tell[[]api.Image](t, a, "GET images")) }

	ask := func(method, address, path, password string, form url.Values, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if password != "" {
			r.SetBasicAuth("operator", password)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	purge := url.Values{"do": {"purge"}, "name": {ref}}
	for name, tt := range map[string]struct {
		address, password string
		header            []string
		page, act         int
		buttons           bool
	}{
		"the boot site":                        {boot, "", nil, 200, 403, false},
		"the boot site, with a password":       {boot, "right", nil, 200, 403, false},
		"the operators' site":                  {operators, "", nil, 401, 401, false},
		"the operators' site, wrong password":  {operators, "wrong", nil, 401, 401, false},
		"the operators' site, by another site": {operators, "right", []string{"Sec-Fetch-Site", "cross-site"}, 200, 403, true},
	} {
		status, text := ask(http.MethodGet, tt.address, "/edge/images", tt.password, nil)
		if status != tt.page || strings.Contains(text, ">Purge<") != tt.buttons {
			t.Errorf("%s: %d, want %d, and buttons: %t", name, status, tt.page, tt.buttons)
		}
		if status, _ := ask(http.MethodPost, tt.address, "/edge/act", tt.password, purge, tt.header...); status != tt.act || stored() != 1 {
			t.Errorf("%s: %d for an action, want %d; %d images are left", name, status, tt.act, stored())
		}
	}

	if status, text := ask(http.MethodPost, operators, "/edge/act", "right", purge); status != http.StatusSeeOther || stored() != 0 {
		t.Errorf("purge: %d %s; %d images are left", status, text, stored())
	}
	if status, text := ask(http.MethodPost, operators, "/edge/act", "right", url.Values{"do": {"prefetch"}, "name": {ref}}); status != http.StatusSeeOther {
		t.Errorf("prefetch: %d %s", status, text)
	}
	until(t, "fetched again", func() bool { return stored() == 1 })
	askScript(t, boot, nodeMAC(6))
	calls := ironicAPI.Calls("node")
	if status, text := ask(http.MethodPost, operators, "/edge/act", "right", url.Values{"do": {"refresh"}, "name": {nodeUUID(6)}}); status != http.StatusSeeOther {
		t.Errorf("refresh: %d %s", status, text)
	}
	askScript(t, boot, nodeMAC(6))
	until(t, "asked anew", func() bool { return ironicAPI.Calls("node") > calls })
	for _, form := range []url.Values{{"do": {"purge"}, "name": {"nothing"}}, {"do": {"refresh"}, "name": {"nobody"}}, {"do": {"dance"}}, {}} {
		if status, text := ask(http.MethodPost, operators, "/edge/act", "right", form); status != http.StatusUnprocessableEntity || !strings.HasPrefix(text, "That did not work: ") {
			t.Errorf("%v: %d %s", form, status, text)
		}
	}
}
