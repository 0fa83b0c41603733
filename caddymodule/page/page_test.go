// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// rack is a Source with as many nodes as wanted.
type rack struct {
	nodes int
	mu    sync.Mutex
	acts  []string
	fails error // what comes of acts
	news  chan uint64
}

func (r *rack) Status() api.Status {
	now := time.Now()
	since := now.Add(-time.Hour)
	return api.Status{Version: "v1.2.3", Time: now, Edges: []api.Edge{{Name: "http://edge.rack17:8080",
		Ironic:    api.Ironic{URLs: []string{"https://ironic.example"}, Up: true, Since: &since},
		Inventory: &api.Inventory{Scope: "conductor group rack17", Nodes: r.nodes, States: map[string]int{"active": r.nodes}, Age: 12},
		Boots:     map[string]int{"stuck": 2, "finished": 41}, Stuck: 1, Stages: map[string]int{"ramdisk": 1, "start": 2},
		Store:    &api.Store{Directory: "/var/lib/ironic-edge", Objects: 3, Used: 700 << 20, Size: 200 << 30, Fetched: 700 << 20, Sent: 27 << 30},
		Refusals: []api.Refusal{{Time: now, Status: 404, Reason: "no_node", Path: "/pxelinux.cfg/<script>", Client: "10.17.0.9"}},
	}}}
}

func (r *rack) Nodes() []api.Node {
	nodes := make([]api.Node, r.nodes)
	for i := range nodes {
		asset := ""
		if i%1000 == 0 {
			asset = fmt.Sprintf("DC2-%04d", i)
		}
		nodes[i] = api.Node{Asset: asset, UUID: fmt.Sprintf("6cb6b1a1-8a2c-4e6e-a1f5-%012d", i), Name: fmt.Sprintf("r17-u%04d", i), State: "active",
			MACs: []string{fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&255)}, Age: 3}
	}
	return nodes
}

func (r *rack) Boots() []boots.Boot {
	now := time.Now()
	started := now.Add(-9 * time.Minute)
	b := boots.Boot{ID: "b1", Node: "6cb6b1a1-8a2c-4e6e-a1f5-000000000007", Name: `r17 "u07" <b>`, MACs: []string{"52:54:00:00:00:07"},
		Clients: []netip.Addr{netip.MustParseAddr("10.17.0.7")}, Firmware: "iPXE/1.21.1+", Started: started, Seen: now, Kind: "deploy", Reason: "state",
		State: "clean wait", RequestIDs: []string{"req-1"}, Stage: boots.StageRamdisk, Outcome: boots.Stuck,
		Stages: []boots.Phase{{Stage: boots.StageScript, Begun: started, Ended: started.Add(time.Second)},
			{Stage: boots.StageKernel, Begun: started.Add(time.Second), Ended: started.Add(4 * time.Second)}, {Stage: boots.StageRamdisk, Begun: started.Add(4 * time.Second)}},
		Images: []boots.Image{{Label: "deploy_kernel", Size: 8 << 20, Percent: 100, Done: true, Attempts: 1},
			{Label: "deploy_ramdisk", Size: 400 << 20, Percent: 31, Stalled: true, Rate: 4321, ETA: 1440, Attempts: 2, Stalls: 1}},
		Events: []boots.Event{{At: started, Kind: boots.EventScript, Text: "deploy"}, {At: started, Kind: boots.EventImageStalled, Text: "deploy_ramdisk", Bytes: 130 << 20}},
		Diagnoses: []boots.Diagnosis{{Code: "stalled", Severity: boots.Error, Seen: "The transfer of deploy_ramdisk stands at 31 %.",
			Next: "Look at the NIC's link and at the switch port."}}}
	done := boots.Boot{ID: "b2", Node: "6cb6b1a1-8a2c-4e6e-a1f5-000000000000", Name: "r17-u08", Started: started, Ended: now, Stage: boots.StageDone, Outcome: boots.Finished}
	return []boots.Boot{done, b}
}

func (r *rack) Images() []api.Image {
	return []api.Image{{ID: "ab12", Keys: []string{"http://images/ipa.initramfs"}, Size: 400 << 20, Stored: 124 << 20, State: "filling", Readers: 2, Used: time.Now()},
		{ID: "cd34", Keys: []string{"http://images/ipa.kernel"}, Size: 8 << 20, Stored: 8 << 20, State: "whole", Digest: "sha256", Used: time.Now()}}
}

func (r *rack) Silent() []boots.Silent {
	return []boots.Silent{{Node: "6cb6b1a1-8a2c-4e6e-a1f5-000000000009", Name: "r17-u09", State: "wait call-back", Since: time.Now().Add(-time.Hour),
		Diagnosis: boots.Diagnosis{Next: "See whether it is on."}}}
}

func (r *rack) Strays() []boots.Stray {
	return []boots.Stray{{MAC: "52:54:00:00:99:01", Client: netip.MustParseAddr("10.17.0.99"), Count: 3, Last: time.Now()}}
}

func (r *rack) Explain(_ context.Context, node string) (*api.Explanation, error) {
	if node == "" {
		return nil, errors.New("no node")
	}
	return &api.Explanation{Kind: "deploy", Why: []string{"Its provision state is clean wait."}, Script: "#!ipxe\necho <hello>\n"}, nil
}

func (r *rack) Wait(ctx context.Context, version uint64) (uint64, error) {
	select {
	case v := <-r.news:
		return v, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (r *rack) Act(_ context.Context, do, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil {
		return r.fails
	}
	r.acts = append(r.acts, do+" "+name)
	return nil
}

// serve is the page at /edge/.
func serve(t *testing.T, p *Page) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.ServeHTTP(w, r, "/edge/", strings.TrimPrefix(r.URL.Path, "/edge/")); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, url string) (int, http.Header, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := serve(t, &Page{Source: &rack{nodes: 5000}})
	for path, want := range map[string][]string{
		"":                     {"r17 &#34;u07&#34; &lt;b&gt;", "stands at 31 %", "Look at the NIC", "26 GiB saved", "a hit rate of 97&nbsp;%", `">1 stuck</a>`, "200 of 5000", "r17-u09", "/pxelinux.cfg/&lt;script&gt;", "from=200"},
		"?q=52-54-00-00-01-02": {"1 of 5000", "r17-u0258"},
		"?q=u07":               {"1 of 2"},
		"?q=dc2-4000":          {"1 of 5000", "r17-u4000", "0 of 2"},
		"?q=DC2-0000":          {"1 of 5000", "1 of 2", "r17-u08"}, // the boot's name is of its time, the asset is of its node
		"?from=200":            {"r17-u0200", "from=400"},
		"?from=-3":             {"r17-u0000"},
		"?from=99999":          {"0 of 5000"},
		"boot/b1":              {"stands at 31 %", `aria-current="step">ramdisk`, "Its provision state is clean wait.", "echo &lt;hello&gt;", "image stalled"},
		"images":               {"31 %", "sha256", "1 of", "http://images/ipa.kernel"},
		"images?q=kernel":      {"1 of 2", `action="/edge/images"`, `data-key="cd34"`},
		"unknown?q=99-01":      {"52:54:00:00:99:01", `action="/edge/unknown"`},
		"unknown":              {"52:54:00:00:99:01", "3 times"},
	} {
		status, header, text := get(t, s.URL+"/edge/"+path)
		if status != http.StatusOK || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, status, header)
		}
		if path == "images" {
			want = append(want[:2:2], "2 of 2")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
		if strings.Contains(text, "24 min left") {
			t.Errorf("%s says when something comes that stands still", path)
		}
		if strings.Contains(text, "<button>Ask") || strings.Contains(text, ">Purge<") || len(text) > 200<<10 {
			t.Errorf("%s has a button that does nothing, or is heavy: %d bytes", path, len(text))
		}
	}
	for _, path := range []string{"boot/none", "boot", "boot/", "images/x", "other"} {
		if status, _, _ := get(t, s.URL+"/edge/"+path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestStepsOfABoot wants stages that took no time to be behind a boot, too, and no ISO where none is booted.
func TestStepsOfABoot(t *testing.T) {
	t.Parallel()
	source := &rack{}
	b := source.Boots()[1]
	b.Stages[0].Ended = b.Stages[0].Begun
	v := view{}
	v.addSteps(&b)
	got := ""
	for _, s := range v.Steps {
		got += fmt.Sprintf("%s %s %s %v; ", s.Name, s.Class, s.Took, s.Here)
	}
	if want := "script past 0 s false; kernel past 3 s false; ramdisk   true; kernel starts   false; lookup   false; agent reports   false; done   false; "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestPolicyLetsInOnlyWhatIsThere wants the hashes of the policy to be those of the page's own style and script, and
// nothing in the page that the policy forbids.
func TestPolicyLetsInOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	s := serve(t, &Page{Source: &rack{nodes: 3}, Actions: true})
	_, header, text := get(t, s.URL+"/edge/")
	policy := header.Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} {
		m := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(text, -1)
		if len(m) != 1 || !strings.Contains(policy, hashOf(m[0][1])) {
			t.Errorf("the policy does not let in the page's %s: %s", tag, policy)
		}
	}
	if bad := regexp.MustCompile(`(?i)\s(style|on[a-z]+)=|(src|href)="https?:`).FindString(text); bad != "" {
		t.Errorf("the page has %q, which the policy forbids", bad)
	}
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	source := &rack{nodes: 1}
	act := func(p *Page, site string) int {
		t.Helper()
		s := serve(t, p)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/edge/act", strings.NewReader(url.Values{"do": {"purge"}, "name": {"ab12"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", site)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if got := act(&Page{Source: source}, "same-origin"); got != http.StatusForbidden {
		t.Errorf("a page for reading acts: %d", got)
	}
	if got := act(&Page{Source: source, Actions: true}, "cross-site"); got != http.StatusForbidden || len(source.acts) > 0 {
		t.Errorf("another site acts: %d %v", got, source.acts)
	}
	source.fails = errors.New("no image is called that")
	if got := act(&Page{Source: source, Actions: true}, "same-origin"); got != http.StatusUnprocessableEntity {
		t.Errorf("an action that fails: %d", got)
	}
	source.fails = nil
	if got := act(&Page{Source: source, Actions: true}, "same-origin"); got != http.StatusSeeOther || len(source.acts) != 1 || source.acts[0] != "purge ab12" {
		t.Errorf("%d %v", got, source.acts)
	}
	s := serve(t, &Page{Source: source, Actions: true})
	if status, _, _ := get(t, s.URL+"/edge/act"); status != http.StatusMethodNotAllowed {
		t.Errorf("an action by GET: %d", status)
	}
}

// TestBack has forms lead back to where they were, and nowhere else.
func TestBack(t *testing.T) {
	t.Parallel()
	for referer, want := range map[string]string{
		"":                                    "/edge/",
		"http://edge.rack17/edge/images?q=ip": "/edge/images",
		"http://edge.rack17/edge/boot/b%2f1":  "/edge/boot/b%2f1",
		"http://edge.rack17/other":            "/edge/",
		"http://elsewhere/edge/images":        "/edge/",
		"http://%zz/":                         "/edge/",
	} {
		r := httptest.NewRequest(http.MethodPost, "http://edge.rack17/edge/act", nil)
		r.Header.Set("Referer", referer)
		if got := back(r, "/edge/"); got != want {
			t.Errorf("from %q to %q, want %q", referer, got, want)
		}
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	source := &rack{news: make(chan uint64, 1)}
	s := serve(t, &Page{Source: source})
	source.news <- 7
	response, err := http.Get(s.URL + "/edge/live")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || lines.Text() != "data: 7" || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%q %v", lines.Text(), response.Header)
	}
}

func BenchmarkRack(b *testing.B) {
	p := &Page{Source: &rack{nodes: 5000}}
	r := httptest.NewRequest(http.MethodGet, "/edge/", nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.ServeHTTP(httptest.NewRecorder(), r, "/edge/", ""); err != nil {
			b.Fatal(err)
		}
	}
}
