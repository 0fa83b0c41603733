// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// examined says what the doctor found: the checks of a name, as "result: seen; next".
func examined(t *testing.T, a *administered) (found map[string]string) {
	t.Helper()
	found = make(map[string]string)
	defer func() { // edges in any order
		for name, text := range found {
			found[name] = strings.Join(slices.Sorted(strings.SplitSeq(text, "\n")), "\n")
		}
	}()
	for _, c := range tell[[]api.Check](t, a, "GET doctor") {
		if text := fmt.Sprintf("%s: %s; %s", c.Result, c.Seen, c.Next); found[c.Name] == "" {
			found[c.Name] = text
		} else {
			found[c.Name] += "\n" + text
		}
		if known := []string{checkGood, checkWarning, checkBad, checkSkipped}; !slices.Contains(known, c.Result) || (c.Next != "") != (c.Result == checkBad || c.Result == checkWarning) || c.Seen == "" {
			t.Errorf("a check without a result, what was seen or what to do: %+v", c)
		}
	}
	return found
}

// startKeystone gives tokens with roles to whoever asks, and knows where Ironic is. It returns a clouds.yaml.
func startKeystone(t *testing.T, ironicAPI *ironictest.Server, roles ...string) string {
	t.Helper()
	listed := make([]string, len(roles))
	for i, role := range roles {
		listed[i] = fmt.Sprintf(`{"id": "%d", "name": %q}`, i, role)
	}
	ironicAPI.RequireToken(func(got string) bool { return got == "a-token" })
	keystone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Subject-Token", "a-token")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token": {"expires_at": "2099-01-01T00:00:00.000000Z", "roles": [%s], "catalog": [{"type": "baremetal", "endpoints": [
			{"interface": "public", "region_id": "here", "url": %q}]}]}}`, strings.Join(listed, ", "), ironicAPI.URL)
	}))
	t.Cleanup(keystone.Close)
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	entry := "clouds: {rack: {auth: {auth_url: " + keystone.URL + "/v3, username: edge, password: x, user_domain_name: Default, system_scope: all}, region_name: here}}"
	if err := os.WriteFile(file, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestDoctor lets one thing after the other be wrong, and wants the check that is about it to say so, and what to do.
func TestDoctor(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/ranges"):
			w.Header().Set("Content-Range", "bytes 0-0/1000")
			w.WriteHeader(http.StatusPartialContent)
		case strings.HasPrefix(r.URL.Path, "/endless"):
			w.Header().Set("Content-Range", "bytes 0-0/*")
			w.WriteHeader(http.StatusPartialContent)
		case strings.HasPrefix(r.URL.Path, "/whole"):
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(make([]byte, 1000))
		case strings.HasPrefix(r.URL.Path, "/stream"):
			_ = http.NewResponseController(w).Flush()
		case strings.HasPrefix(r.URL.Path, "/big"):
			w.Header().Set("Etag", `"1"`)
			w.Header().Set("Content-Length", "8388608")
			_, _ = w.Write(make([]byte, 8<<20))
		case strings.HasSuffix(r.URL.Path, "/boot.ipxe"):
			http.Redirect(w, r, "https://elsewhere/boot.ipxe", http.StatusPermanentRedirect)
		default:
			http.NotFound(w, r)
		}
	}))
	defer origin.Close()
	const gone = "http://127.0.0.1:1"
	other := freeAddress(t)
	kernel := func(path string) []string {
		return []string{"deploy_kernel " + origin.URL + path + "?sig=s3cret", "deploy_ramdisk " + origin.URL + "/ranges/ramdisk"}
	}
	for name, tt := range map[string]struct {
		roles   []string                        // with Keystone, if any
		auth    string                          // else how to authenticate
		spoil   func(*ironictest.Server)        // before the doctor looks
		options []string                        // beside the usual ones
		config  func(string) string             // changes the configuration
		do      func(*testing.T, *administered) // before the doctor looks
		want    map[string]string               // how the checks that are not good begin, with "…" for anything
	}{
		"all is well":      {roles: []string{"reader"}, options: append(kernel("/ranges/kernel"), "conductor_http "+origin.URL)},
		"Ironic is gone":   {roles: []string{"reader"}, spoil: (*ironictest.Server).Stop, want: map[string]string{"ironic": "bad: …refused…; see that Ironic runs"}},
		"Ironic is broken": {auth: "none", spoil: func(s *ironictest.Server) { s.Inject(ironictest.Fault{Status: 502}) }, want: map[string]string{"ironic": "bad: …http_502…; see that Ironic runs"}},
		"no Ironic": {auth: "none", spoil: func(s *ironictest.Server) {
			s.Inject(ironictest.Fault{Status: 200, Body: "<html>"})
		}, want: map[string]string{"ironic": "bad: …is this the URL of an Ironic API?; give the URL of Ironic's API"}},
		"an old Ironic": {auth: "none", spoil: func(s *ironictest.Server) { s.SetVersions(1, 40) },
			want: map[string]string{"ironic": "bad: …up to 1.40, and ironic-edge needs 1.46…; upgrade Ironic"}},
		"an Ironic of the future": {auth: "none", spoil: func(s *ironictest.Server) { s.SetVersions(2000, 2001) },
			want: map[string]string{"ironic": "bad: …from 1.2000…; upgrade ironic-edge"}},
		"one of two endpoints": {roles: []string{"reader"}, auth: gone,
			want: map[string]string{"ironic": "good: …\nwarning: " + gone + "/v1/: …refused…; see that Ironic runs at that address, and the line to it; the others answer in its place"}},
		"refused credentials": {auth: "http_basic edge {env.TEST_PASSWORD}", spoil: func(s *ironictest.Server) { s.RequireBasic("edge", "another") },
			want: map[string]string{"ironic": "bad: …unauthorized…; see the option auth"}},
		"no role": {roles: []string{"reader"}, spoil: func(s *ironictest.Server) { s.Inject(ironictest.Fault{Path: "/v1/nodes", Status: 403}) },
			want: map[string]string{"ironic": "bad: …forbidden…; see the option auth, and that the account has a role"}},
		"no role for volumes": {roles: []string{"reader"}, spoil: func(s *ironictest.Server) {
			s.Inject(ironictest.Fault{Path: "/v1/volume", Status: 403})
			s.Inject(ironictest.Fault{Path: "/v1/ports", Status: 403})
		}, want: map[string]string{"account": "bad: may not read ports, volume/targets, volume/connectors; give the account a role that reads them"}},
		"the wrong scope": {roles: []string{"reader"}, spoil: func(s *ironictest.Server) {
			for _, n := range s.Nodes() {
				s.Remove(n.UUID)
			}
		}, want: map[string]string{"account": "warning: is shown no node; …system scope"}},
		"too many rights": {roles: []string{"admin", "manager", "member", "reader"}, want: map[string]string{"account": "warning: may do more than read; its roles: admin, manager"}},
		"a member":        {roles: []string{"member", "reader"}, want: map[string]string{"account": "warning: may do more than read; its roles: member, reader; give"}},
		"http_basic": {auth: "http_basic edge {env.TEST_PASSWORD}", spoil: func(s *ironictest.Server) { s.RequireBasic("edge", "s3cret") },
			want: map[string]string{"account": "warning: with http_basic, Ironic lets every account do everything"}},
		"no credentials": {auth: "none", want: map[string]string{"account": "warning: Ironic asks for no credentials"}},
		"a slow clock": {roles: []string{"reader"}, spoil: func(s *ironictest.Server) {
			s.Inject(ironictest.Fault{Path: "/v1/nodes", Status: 200, Header: http.Header{"Date": {"Mon, 24 Nov 2025 08:00:00 GMT"}}, Body: `{"nodes": [{"uuid": "x"}]}`})
		}, want: map[string]string{"clocks": "warning: Ironic's and this machine's differ by -…; see that both are set by NTP"}},
		"no clock": {roles: []string{"reader"}, spoil: func(s *ironictest.Server) {
			s.Inject(ironictest.Fault{Path: "/v1/nodes", Status: 200, Header: http.Header{"Date": nil}, Body: `{"nodes": [{"uuid": "x"}]}`})
		}, want: map[string]string{"clocks": "skipped: Ironic's answers have no date"}},

		"an origin without ranges":           {roles: []string{"reader"}, options: kernel("/whole/kernel"), want: map[string]string{"image kernel": "warning: " + origin.URL + "/whole/kernel comes without ranges; a broken"}},
		"an origin without length":           {roles: []string{"reader"}, options: kernel("/stream/kernel"), want: map[string]string{"image kernel": "warning: …comes without ranges and without a length"}},
		"an origin with ranges of who knows": {roles: []string{"reader"}, options: kernel("/endless/kernel"), want: map[string]string{"image kernel": "warning: …has ranges, and no length"}},
		"an origin without the image":        {roles: []string{"reader"}, options: kernel("/nothing/kernel"), want: map[string]string{"image kernel": "bad: " + origin.URL + "/nothing/kernel: status 404; put the image there"}},
		"an origin that is gone": {roles: []string{"reader"}, options: []string{"deploy_kernel " + gone + "/kernel?sig=s3cret", "deploy_ramdisk " + gone + "/ramdisk"},
			want: map[string]string{"image kernel": "bad: " + gone + "/kernel: …; see that the server runs", "image ramdisk": "bad: "}},

		"public_url of somebody else":     {roles: []string{"reader"}, options: []string{"public_url " + origin.URL + "/whole"}, want: map[string]string{"public url": "bad: …is answered by somebody else", "sites": "bad: "}},
		"public_url with automatic HTTPS": {roles: []string{"reader"}, options: []string{"public_url " + origin.URL}, want: map[string]string{"public url": "bad: " + origin.URL + " redirects to https://elsewhere/boot.ipxe; write the site's address with http:// in front", "sites": "bad: "}},
		"public_url that nobody has":      {roles: []string{"reader"}, options: []string{"public_url " + gone}, want: map[string]string{"public url": "bad: …refused; give the address of this site", "sites": "bad: public_url " + gone + " is answered by no site"}},
		"no public_url":                   {roles: []string{"reader"}, options: []string{"public_url"}, want: map[string]string{"public url": "skipped: there is none"}},
		"public_url of another edge of ours": {roles: []string{"reader"}, options: []string{"public_url http://" + other}, config: func(c string) string {
			return c + "http://" + other + " {\n\tironic_edge {\n\t\tironic " + gone + "\n\t}\n}\n"
		}, want: map[string]string{"public url": "bad: http://" + other + " is answered by somebody else; …\nskipped: ", "ironic": "bad: …\ngood: ", "store": "good: …\nskipped: ", "sites": "bad: public_url"}},
		"a boot site with automatic HTTPS": {roles: []string{"reader"}, config: func(c string) string {
			return strings.Replace(strings.Replace(c, "http://127.0.0.1", "https://localhost", 1), "admin off", "admin off\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects", 1)
		}, want: map[string]string{"sites": "bad: …speaks TLS, which firmware mostly cannot; write its address with http:// in front", "public url": "bad: "}},

		"a full disk": {roles: []string{"reader"}, config: func(c string) string { return strings.Replace(c, "min_free 0", "min_free 1PiB", 1) },
			want: map[string]string{"store": "bad: …its file system has …, and min_free is 1.0 PiB; make room on the disk"}},
		"a store that is too small": {roles: []string{"reader"}, config: func(c string) string { return strings.Replace(c, "min_free 0", "min_free 0\n\t\t\tmax_size 2MiB", 1) },
			do: func(t *testing.T, a *administered) {
				if last := lastLine(t, a, `POST prefetch {"image":"`+origin.URL+`/big"}`); last.End || !strings.Contains(last.Error, "not kept") {
					t.Errorf("an image of 8 MiB: %+v", last)
				}
			}, want: map[string]string{"store": "warning: …1 images found no room; give the disk more room"}},
		"no store": {roles: []string{"reader"}, config: func(c string) string {
			before, rest, _ := strings.Cut(c, "\t\tstore ")
			_, rest, _ = strings.Cut(rest, "}\n")
			return before + rest
		}, want: map[string]string{"store": "skipped: there is none"}},
		"no conductor": {roles: []string{"reader"}, options: []string{"conductor_http " + gone}, want: map[string]string{"conductor": "bad: …; give the conductor's [deploy]http_url"}},
	} {
		t.Run(name, func(t *testing.T) {
			ironicAPI := ironictest.Start(ironictest.DemoFleet(origin.URL + "/ranges")...)
			defer ironicAPI.Close()
			t.Setenv("TEST_PASSWORD", "s3cret")
			address, way := freeAddress(t), ironicAPI.URL
			switch {
			case strings.HasPrefix(tt.auth, "http://"):
				way += " " + tt.auth + " {\n\t\t\tauth cloud rack " + startKeystone(t, ironicAPI, tt.roles...) + "\n\t\t}"
			case tt.roles != nil:
				way += " {\n\t\t\tauth cloud rack " + startKeystone(t, ironicAPI, tt.roles...) + "\n\t\t}"
			default:
				way += " {\n\t\t\tauth " + tt.auth + "\n\t\t}"
			}
			options := []string{"store " + filepath.Join(t.TempDir(), "store") + " {\n\t\t\tmin_free 0\n\t\t}", "allow_origins " + origin.URL + " " + gone}
			if !slices.ContainsFunc(tt.options, func(o string) bool { return strings.HasPrefix(o, "public_url") }) {
				options = append(options, "public_url http://"+address)
			}
			options = append(options, slices.DeleteFunc(slices.Clone(tt.options), func(o string) bool { return o == "public_url" })...)
			config := strings.Replace(siteConfig(address, "IRONIC", options...), "\treverse_proxy IRONIC\n", "", 1)
			config = strings.Replace(config, "IRONIC", way, 1)
			if tt.config != nil {
				config = tt.config(config)
			}
			a := administer(t, config)
			if tt.spoil != nil {
				tt.spoil(ironicAPI)
			}
			if tt.do != nil {
				tt.do(t, a)
			}
			found := examined(t, a)
			for check, got := range found {
				want, named := tt.want[check]
				if !named {
					want = "good: "
				}
				if want != "" && !beginsLike(got, want) {
					t.Errorf("%s: %q, want %q", check, got, want)
				}
				if strings.Contains(got, "s3cret") {
					t.Errorf("%s tells a secret: %s", check, got)
				}
			}
			for check := range tt.want {
				if found[check] == "" {
					t.Errorf("%s was not looked at", check)
				}
			}
		})
	}
}

// beginsLike reports whether a text begins with a pattern, in which "…" stands for anything.
func beginsLike(text, pattern string) bool {
	for i, piece := range strings.Split(pattern, "…") {
		at := strings.Index(text, piece)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		text = text[at+len(piece):]
	}
	return true
}
