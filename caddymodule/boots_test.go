// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for ends := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(ends) {
			t.Fatalf("it never comes to it: %s", what)
		}
	}
}

// TestReasonsHaveWords wants an explanation of each reason code that there is.
func TestReasonsHaveWords(t *testing.T) {
	t.Parallel()
	n := 0
	for _, name := range []string{"answer.go", "../ipxe/reason.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "reason") || spec.Names[0].Name == "reasonHeader" {
				return true
			}
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if n++; !boots.HasWords(code) {
				t.Errorf("%s: nothing explains %q", name, code)
			}
			return true
		})
	}
	if n < 25 {
		t.Errorf("%d codes are found", n)
	}
}

// TestTimelineOfABoot takes a machine from its script to the agent's heartbeat and asks how far it is at each step.
func TestTimelineOfABoot(t *testing.T) {
	t.Parallel()
	for _, with := range []string{"store", "no store"} {
		t.Run(with, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, nil)
			if with == "store" {
				e = newStoreEdge(t)
			}
			stage := func(want boots.Stage) boots.Boot {
				t.Helper()
				b, ok := e.handler.site.boots.Get(nodeUUID(2))
				if !ok || b.Stage != want || b.Outcome != boots.Running {
					t.Fatalf("the boot is %s, in stage %q, want %q: %+v", b.Outcome, b.Stage, want, b)
				}
				return b
			}
			e.ask(t, http.MethodGet, "/pxelinux.cfg/"+nodeMAC(2), "User-Agent", "curl/8") // somebody looks at the script
			e.ask(t, http.MethodHead, "/pxelinux.cfg/"+nodeMAC(2))
			if all := e.handler.site.boots.List(boots.Filter{}); len(all) != 0 {
				t.Fatalf("who only looks at a script boots: %+v", all)
			}
			script := e.get(t, "/pxelinux.cfg/"+nodeMAC(2))
			b := stage(boots.StageKernel)
			if b.Kind != "deploy" || b.Reason != "state" || b.State != "wait call-back" || b.Cache == "" || !strings.HasPrefix(b.Firmware, "iPXE/1.0.0+git") ||
				len(b.RequestIDs) != 1 || !strings.Contains(script.body, "ipa-global-request-id="+b.RequestIDs[0]+" ") || !slices.Equal(b.MACs, []string{"52:54:00:17:00:02"}) {
				t.Errorf("%+v\n%s", b, script.body)
			}
			e.ask(t, http.MethodHead, "/"+nodeUUID(2)+"/deploy_kernel")
			e.get(t, "/"+nodeUUID(2)+"/deploy_kernel")
			b = stage(boots.StageKernel)
			e.get(t, "/"+nodeUUID(2)+"/deploy_ramdisk")
			b = stage(boots.StageStart)
			for i, label := range []string{"deploy_kernel", "deploy_ramdisk"} {
				if image := b.Images[i]; image.Label != label || !image.Done || image.Size != int64(len(imageBytes)) || image.Sent != image.Size || image.Percent != 100 || image.Active != 0 || image.Requests != 1 {
					t.Errorf("%s: %+v", label, image)
				}
			}
			agent := []string{"User-Agent", "IPA", "X-OpenStack-Request-ID", b.RequestIDs[0], "X-OpenStack-Ironic-API-Version", "1.68"}
			if got := e.ask(t, http.MethodGet, "/v1/lookup?addresses=52:54:00:17:00:02", agent...); got.status != 200 {
				t.Fatalf("lookup: %d %s", got.status, got.body)
			}
			stage(boots.StageLookup)
			e.ask(t, http.MethodPost, "/v1/heartbeat/"+nodeUUID(2), agent...) // without a token
			b = stageOf(e, nodeUUID(2))
			if b.Heartbeat.Refused != 1 || b.Heartbeat.RefusedStatus/100 != 4 || b.Outcome != boots.Stuck || b.Diagnoses[0].Code != "heartbeat_refused" {
				t.Errorf("a heartbeat that Ironic refuses: %+v, %+v", b.Heartbeat, b.Diagnoses)
			}
			if n := stuckAt(e); n != 1 {
				t.Errorf("the status knows of %d boots that are stuck", n)
			}
			e.api.SetProvisionState(nodeUUID(2), "active")
			e.get(t, "/pxelinux.cfg/"+nodeMAC(2)) // it starts again, into its disk
			all := e.handler.site.boots.List(boots.Filter{Node: nodeUUID(2)})
			if len(all) != 2 || all[0].Outcome != boots.Finished || all[0].Kind != "boot_whole_disk" || all[1].Outcome != boots.Finished || all[1].State != "active" {
				t.Errorf("%+v", all)
			}
			if n := stuckAt(e); n != 0 {
				t.Errorf("the status knows of %d boots that are stuck, after all went well", n)
			}
		})
	}
}

func stuckAt(e *edge) int {
	return (&overview{handlers: []*Handler{e.handler}, names: []string{""}}).Status().Edges[0].Stuck
}

func stageOf(e *edge, key string) boots.Boot {
	b, _ := e.handler.site.boots.Get(key)
	return b
}

func newStoreEdge(t *testing.T) *edge {
	t.Helper()
	e := newEdge(t, func(h *Handler) { h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)} })
	if err := e.handler.startStore(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRefusalsInTheTimeline lets scripts and images be refused.
func TestRefusalsInTheTimeline(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.NodeTTL = caddy.Duration(time.Millisecond) })
	e.get(t, "/pxelinux.cfg/"+nodeMAC(11)) // available
	if b := stageOf(e, nodeUUID(11)); b.Reason != "state" || b.Diagnoses[0].Code != "nothing_to_boot" {
		t.Errorf("nothing to boot: %+v", b)
	}
	e.get(t, "/pxelinux.cfg/"+nodeMAC(13)) // in a state that nobody knows
	if b := stageOf(e, nodeUUID(13)); b.Kind != "explain" || b.Diagnoses[0].Code != "script_refused" || !strings.Contains(b.Diagnoses[0].Seen, "unknown_state") {
		t.Errorf("unknown state: %+v", b)
	}
	e.get(t, "/pxelinux.cfg/52-54-00-99-00-01")
	if s := e.handler.site.boots.Strays(); len(s) != 1 || s[0].MAC != "52:54:00:99:00:01" || s[0].Reason != "no_node" || s[0].Firmware == "" || !s[0].Client.IsLoopback() {
		t.Errorf("strays are %+v", s)
	}
	e.get(t, "/pxelinux.cfg/"+nodeMAC(2))
	e.get(t, "/"+nodeUUID(2)+"/boot_iso")
	if b := stageOf(e, nodeUUID(2)); b.Images[0].Refused != "no_image" || b.Diagnoses[0].Code != "image_refused" {
		t.Errorf("refused image: %+v", b)
	}
	e.api.Inject(ironictest.Fault{Status: 500})
	e.get(t, "/pxelinux.cfg/"+nodeMAC(7)) // whose state allows no old answer
	if s := e.handler.site.boots.Strays(); len(s) != 2 || s[0].Reason != "ironic_unavailable" || s[0].Diagnosis.Code != "script_waits" {
		t.Errorf("Ironic is down: %+v", s)
	}
}

// TestStateSeenBesideABoot changes a node's state, which is seen because somebody asks for one of its images.
func TestStateSeenBesideABoot(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.NodeTTL = caddy.Duration(time.Nanosecond) })
	e.get(t, "/pxelinux.cfg/"+nodeMAC(2))
	e.get(t, "/"+nodeUUID(2)+"/deploy_kernel")
	e.api.SetProvisionState(nodeUUID(2), "deploy failed")
	e.get(t, "/"+nodeUUID(2)+"/deploy_kernel")
	if b := stageOf(e, nodeUUID(2)); b.Outcome != boots.Failed || b.State != "deploy failed" || b.Diagnoses[0].Code != "failed" {
		t.Errorf("%+v", b)
	}
}

// TestUnknownMACWithAScript is about a site that inspects what it does not know.
func TestUnknownMACWithAScript(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(h *Handler) { h.UnknownMAC = "local" })
	e.get(t, "/pxelinux.cfg/52-54-00-99-00-01")
	if s := e.handler.site.boots.Strays(); len(s) != 1 || s[0].Kind != "local" || s[0].Reason != "no_node" {
		t.Errorf("strays are %+v", s)
	}
}

// TestProgressOfATransfer looks at a transfer while the client takes its time.
func TestProgressOfATransfer(t *testing.T) {
	const size, taken = 64 << 20, 8 << 20 // the buffers on the way take less than the rest
	content := image(size)
	for _, with := range []string{"store", "no store"} {
		t.Run(with, func(t *testing.T) {
			origin := newImageServer(t, content)
			api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
			defer api.Close()
			address := freeAddress(t)
			option := "allow_origins " + origin.URL
			if with == "store" {
				option += "\n\t\tstore " + t.TempDir() + " {\n\t\t\tmin_free 0\n\t\t}"
			}
			if err := load(t, siteConfig(address, api.URL, option)); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = caddy.Stop() }()
			base := "http://" + address
			if with == "store" { // from the disk, by sendfile
				download(t, base+"/"+nodeUUID(2)+"/deploy_ramdisk")
			}
			download(t, base+"/pxelinux.cfg/"+nodeMAC(2), "User-Agent: iPXE/1.21.1+")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/"+nodeUUID(2)+"/deploy_ramdisk", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if _, err := io.CopyN(io.Discard, response.Body, taken); err != nil {
				t.Fatal(err)
			}
			line := runningTimeline(t, api.URL)
			var got boots.Image
			eventually(t, "it is seen to move", func() bool {
				b, _ := line.Get(nodeUUID(2))
				got = b.Images[0]
				return got.Sent >= taken-countedPiece
			})
			if got.Done || got.Active != 1 || got.Size != size || got.Percent < 10 || got.Percent > 99 {
				t.Errorf("under way: %+v", got)
			}
			response.Body.Close()
			eventually(t, "the break is seen", func() bool { b, _ := line.Get(nodeUUID(2)); got = b.Images[0]; return got.Active == 0 })
			if got.Done || got.Breaks != 1 {
				t.Errorf("broken off: %+v", got)
			}
		})
	}
}

// runningTimeline is that of the site that was loaded.
func runningTimeline(t *testing.T, api string) *timeline {
	t.Helper()
	var found *timeline
	sites.Range(func(key, value any) bool {
		if strings.HasPrefix(key.(string), api) {
			found = value.(*site).boots
		}
		return true
	})
	if found == nil {
		t.Fatal("there is no site")
	}
	return found
}

// recorded are the events that testEvents got.
var recorded struct {
	mu     sync.Mutex
	events []caddy.Event
	block  chan struct{} // closed when handlers may go on
}

// testEvents is an event handler that remembers.
type testEvents struct{}

func (testEvents) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.ironic_edge_test", New: func() caddy.Module { return new(testEvents) }}
}

func (*testEvents) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*testEvents) Handle(_ context.Context, e caddy.Event) error {
	<-recorded.block
	recorded.mu.Lock()
	defer recorded.mu.Unlock()
	recorded.events = append(recorded.events, e)
	return nil
}

var _ caddyevents.Handler = (*testEvents)(nil)

func init() { caddy.RegisterModule(testEvents{}) }

// bootsCounted is how many boots were counted by kind and outcome.
func bootsCounted(t *testing.T, labels ...string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if _, err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if f.GetName() == "ironic_edge_boots_total" && slices.Equal(got, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestEvents loads a configuration with a handler of events that takes its time, reloads it, and wants scripts answered all
// the while and the events told afterwards, by the configuration that runs then.
func TestEvents(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := func(option string) string {
		return strings.Replace(siteConfig(address, api.URL, option), "{\n", "{\n\tevents {\n\t\ton boot_started ironic_edge_test\n\t\ton boot_finished ironic_edge_test\n"+
			"\t\ton unknown_mac ironic_edge_test\n\t\ton object_corrupt ironic_edge_test\n\t\ton ironic_down ironic_edge_test\n\t}\n", 1)
	}
	recorded.block, recorded.events = make(chan struct{}), nil
	if err := load(t, config("boots 10")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	script := func(mac string) {
		download(t, "http://"+address+"/pxelinux.cfg/"+mac, "User-Agent: iPXE/1.21.1+")
	}
	before := bootsCounted(t, "boot_whole_disk", "finished")
	script(nodeMAC(6))
	line := runningTimeline(t, api.URL)
	eventually(t, "an event is being handled", func() bool { return len(line.emissions) > 0 })
	script(nodeMAC(2))
	script("52-54-00-99-00-01")
	if err := load(t, config("boots 5")); err != nil { // while a handler is at work
		t.Fatal(err)
	}
	if line != runningTimeline(t, api.URL) {
		t.Fatal("a reload begins another timeline")
	}
	h := line.speaker.Load()
	(&storage{generations: []generation{{handler: h}, {handler: h}}}).tellBad("ab12", nil, "checksum")
	h.site.tellOfIronic(ironicChange{err: errors.New("timeout")})
	h.site.tellOfIronic(ironicChange{up: true})
	close(recorded.block)
	var names []string
	eventually(t, "all events are told", func() bool {
		recorded.mu.Lock()
		defer recorded.mu.Unlock()
		names = nil
		for _, e := range recorded.events {
			names = append(names, fmt.Sprintf("%s %v %v %v", e.Name(), e.Data["node"], e.Data["mac"], e.Data["outcome"]))
		}
		return len(names) == 6
	})
	slices.Sort(names)
	want := []string{"boot_finished " + nodeUUID(6) + " 52:54:00:17:00:06 finished", "boot_started " + nodeUUID(2) + " 52:54:00:17:00:02 <nil>",
		"boot_started " + nodeUUID(6) + " 52:54:00:17:00:06 <nil>", "ironic_down <nil> <nil> <nil>", "object_corrupt <nil> <nil> <nil>", "unknown_mac <nil> 52:54:00:99:00:01 <nil>"}
	if !slices.Equal(names, want) {
		t.Errorf("told are\n%s\nwant\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
	if n := bootsCounted(t, "boot_whole_disk", "finished") - before; n != 1 {
		t.Errorf("%v boots are counted, want 1", n)
	}
	if n := len(line.List(boots.Filter{})); n != 2 {
		t.Errorf("%d boots are there after a reload, want 2", n)
	}
	for n := range 7 {
		script(nodeMAC(n + 3))
	}
	if n := len(line.List(boots.Filter{})); n != 5 {
		t.Errorf("%d boots are kept, want the 5 of the new configuration", n)
	}
}

// TestBootsSurviveARestart stops the server and starts it again.
func TestBootsSurviveARestart(t *testing.T) {
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := siteConfig(address, api.URL, "boots {\n\t\t\tfile "+filepath.Join(t.TempDir(), "boots.jsonl")+"\n\t\t}")
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	download(t, "http://"+address+"/pxelinux.cfg/"+nodeMAC(2), "User-Agent: iPXE/1.21.1+")
	before, _ := runningTimeline(t, api.URL).Get(nodeUUID(2))
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site is gone", func() bool {
		gone := true
		sites.Range(func(key, _ any) bool { gone = gone && !strings.HasPrefix(key.(string), api.URL); return true })
		return gone
	})
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	after, ok := runningTimeline(t, api.URL).Get(before.RequestIDs[0])
	if !ok || after.ID != before.ID || after.Stage != boots.StageKernel {
		t.Errorf("after a restart the boot is %+v, was %+v", after, before)
	}
	if err := load(t, strings.Replace(config, "file ", "file /proc/nowhere", 1)); err != nil {
		t.Errorf("a reload with a file that cannot be used: %v", err) // the log says it once the old one is gone
	}
	if _, ok := runningTimeline(t, api.URL).Get(before.ID); !ok {
		t.Error("it takes the boots away")
	}
}

// TestOneLineForABoot wants what came of a boot in one line of the log, and no secret in it.
func TestOneLineForABoot(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	core, logs := observer.New(zap.InfoLevel)
	e.handler.logger = zap.New(core)
	line := e.handler.site.boots
	line.speaker.Store(e.handler)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go line.Run(ctx, nil, line.tell)
	e.get(t, "/pxelinux.cfg/"+nodeMAC(6))
	eventually(t, "there is a line", func() bool { return logs.FilterMessage("boot").Len() > 0 })
	fields := logs.FilterMessage("boot").All()[0].ContextMap()
	for name, want := range map[string]any{"node": nodeUUID(6), "outcome": "finished", "kind": "boot_whole_disk", "reason": "state", "provision_state": "active"} {
		if fields[name] != want {
			t.Errorf("%s is %v, want %v", name, fields[name], want)
		}
	}
	if n := logs.FilterMessage("boot").Len(); n != 1 {
		t.Errorf("there are %d lines", n)
	}
}
