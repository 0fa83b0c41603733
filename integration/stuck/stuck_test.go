// SPDX-License-Identifier: Apache-2.0

//go:build integration

package stuck

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/integration/rack"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// The machines. All but the stranger are nodes.
const (
	fine     = "52:54:00:1f:00:01" // its agent looks itself up and reports
	stalled  = "52:54:00:1f:00:02" // its ramdisk stands still in the middle
	idle     = "52:54:00:1f:00:03" // its ramdisk does nothing
	loops    = "52:54:00:1f:00:04" // its kernel resets it
	silent   = "52:54:00:1f:00:05" // it is never switched on
	stranger = "52:54:00:1f:00:06"
	returns  = "52:54:00:1f:00:07" // it is deployed, and its disk resets it
)

const (
	// patience is for one machine, from power on to what it comes to. An emulated one takes half a minute on a free core.
	patience = 4 * time.Minute
	// exitBad is the exit code of commands for something that is stuck.
	exitBad = 3
)

// world is a rack.
type world struct {
	*rack.Rack
	free chan struct{} // has room for as many machines as may run at once
}

// TestFates boots machines that come to different ends, two at a time.
func TestFates(t *testing.T) {
	w := start(t)
	if out, code := w.Ask(t.Context(), "boots", "--json"); code != 0 || strings.TrimSpace(out) == "[]" {
		t.Errorf("boots before any machine is on: exit code %d, %s; want 0 and the boot of the journal", code, out)
	}
	t.Run("machines", func(t *testing.T) {
		for name, run := range map[string]func(*testing.T){
			"fine": w.fine, "stalled": w.stalled, "no lookup": w.idle, "boot loop": w.loops, "disk loop": w.returns, "unknown MAC": w.stranger,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t)
			})
		}
	})
	t.Run("silent", w.silent)
	t.Run("all", w.all)
}

func start(t *testing.T) *world {
	t.Helper()
	nodes := func(origin string) (nodes []ironictest.Node) {
		for name, mac := range map[string]string{"fine": fine, "stalled": stalled, "idle": idle, "loops": loops, "silent": silent, "returns": returns} {
			params := "console=ttyS0"
			switch mac {
			case fine:
				params += " test-fate=heartbeat"
			case idle:
				params += " test-fate=idle"
			}
			n := rack.Node(name, mac, origin, "", params)
			if mac == returns {
				n.ProvisionState = "active"
			}
			nodes = append(nodes, n)
		}
		return nodes
	}
	r, err := rack.Start(t.Context(), t.TempDir(), nodes, "boots {\n file "+remember(t)+"\n}")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return &world{r, make(chan struct{}, 2)}
}

// remember writes the journal of an edge that has run for twenty minutes, so that a node that asked for nothing meanwhile is
// known to be silent.
func remember(t *testing.T) string {
	t.Helper()
	began := time.Now().Add(-20 * time.Minute)
	text, err := json.Marshal(map[string]any{"v": 1, "boot": boots.Boot{ID: "earlier", Node: rack.UUID("52:54:00:1f:00:99"), Started: began, Seen: time.Now(),
		Ended: time.Now(), Outcome: boots.Finished, Stages: []boots.Phase{{Stage: boots.StageScript, Begun: began, Ended: began}}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "boots")
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// switchOn starts a machine as soon as there is room, for no longer than the test.
func (w *world) switchOn(t *testing.T, m qemu.Machine) (*qemu.VM, context.Context) {
	t.Helper()
	select {
	case w.free <- struct{}{}:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	t.Cleanup(func() { <-w.free })
	m.Dir = t.TempDir()
	vm, err := w.SwitchOn(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return vm, ctx
}

// until waits until the last boot of a machine is as a condition wants it.
func (w *world) until(t *testing.T, ctx context.Context, vm *qemu.VM, mac string, holds func(*boots.Boot) bool) {
	t.Helper()
	last := ""
	err := edge.Poll(ctx, func() bool {
		last = w.API(api.Prefix + "boots?node=" + mac)
		var listed []boots.Boot
		return json.Unmarshal([]byte(last), &listed) == nil && len(listed) > 0 && holds(&listed[0])
	})
	if err != nil {
		t.Fatalf("%v; the boot: %s\nthe console: %s\nthe edge's log: %s", err, last, vm.Console(), w.Log())
	}
}

// shows wants a machine's last boot on the command line, and its words on the rack's and its own page.
func (w *world) shows(t *testing.T, mac string, code int, want func(*boots.Boot) bool, words ...string) {
	t.Helper()
	out, got := w.Ask(t.Context(), "boot", mac, "--json")
	var listed []boots.Boot
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) == 0 {
		t.Fatalf("boot %s: exit code %d, %v: %s", mac, got, err, out)
	}
	b := &listed[0]
	if got != code || !want(b) {
		t.Errorf("boot %s: exit code %d, want %d: %s", mac, got, code, out)
	}
	for _, d := range b.Diagnoses {
		words = append(words, d.Seen, d.Next)
	}
	for _, path := range []string{"/edge/?q=" + mac, "/edge/boot/" + b.ID} {
		page := html.UnescapeString(w.Get(path))
		for i, word := range words {
			if !strings.Contains(page, word) && (i < len(words)-len(b.Diagnoses)*2+2 || path != "/edge/?q="+mac) { // the rack has the first diagnosis
				t.Errorf("%s lacks %q: %s", path, word, page)
			}
		}
	}
	human, again := w.Ask(t.Context(), "boot", mac)
	for _, d := range b.Diagnoses {
		if again != code || !strings.Contains(human, d.Seen) || !strings.Contains(human, d.Next) {
			t.Errorf("boot %s for people: exit code %d, want %d and %q: %s", mac, again, code, d.Seen, human)
		}
	}
}

func (w *world) fine(t *testing.T) {
	vm, ctx := w.switchOn(t, qemu.Machine{MAC: fine})
	w.until(t, ctx, vm, fine, func(b *boots.Boot) bool { return b.Heartbeat.Taken > 0 })
	w.shows(t, fine, 0, func(b *boots.Boot) bool {
		return b.Stage == boots.StageAgent && b.Outcome == boots.Running && len(b.Diagnoses) == 0 && b.Lookup.Taken == 1 && b.Took(boots.StageLookup) > 0 &&
			len(b.Images) == 2 && b.Images[0].Done && b.Images[1].Done && strings.HasPrefix(b.Firmware, "iPXE/")
	}, "fine", fine, "agent")
	if n := w.Ironic.Heartbeats(rack.UUID(fine)); n != 1 {
		t.Errorf("Ironic took %d heartbeats, want 1", n)
	}
	w.Ironic.SetProvisionState(rack.UUID(fine), "active")
	w.until(t, ctx, vm, fine, func(b *boots.Boot) bool { return b.Over() })
	w.shows(t, fine, 0, func(b *boots.Boot) bool { return b.Outcome == boots.Finished && b.State == "active" }, "finished")
}

func (w *world) stalled(t *testing.T) {
	vm, ctx := w.switchOn(t, qemu.Machine{MAC: stalled})
	w.until(t, ctx, vm, stalled, func(b *boots.Boot) bool { return found(b, "image_stalled") })
	share := 100 * rack.StallAt / rack.StallSize
	w.shows(t, stalled, exitBad, func(b *boots.Boot) bool {
		i := len(b.Images) - 1
		return b.Stage == boots.StageRamdisk && b.Outcome == boots.Stuck && b.Diagnoses[0].Code == "image_stalled" &&
			b.Images[i].Percent <= share && b.Images[i].Percent > share-10 && b.Images[i].Stalls == 1
	}, "stalled", "deploy_ramdisk", "stands still at")
	if _, code := w.Ask(t.Context(), "boots", "--json"); code != exitBad {
		t.Errorf("boots while a machine is stuck: exit code %d, want %d", code, exitBad)
	}
	if _, code := w.Ask(t.Context(), "status"); code != exitBad {
		t.Errorf("status while a machine is stuck: exit code %d, want %d", code, exitBad)
	}
}

// idle has the timeline as far as it goes: that no lookup comes is said after five minutes.
func (w *world) idle(t *testing.T) {
	vm, ctx := w.switchOn(t, qemu.Machine{MAC: idle})
	if err := vm.WaitFor(ctx, "AGENT idles"); err != nil {
		t.Fatalf("%v\nthe edge's log: %s", err, w.Log())
	}
	w.until(t, ctx, vm, idle, func(b *boots.Boot) bool { return b.Stage == boots.StageStart })
	w.shows(t, idle, 0, func(b *boots.Boot) bool {
		return b.Outcome == boots.Running && b.Lookup.Taken == 0 && b.Lookup.Refused == 0 && b.Images[len(b.Images)-1].Done
	}, "idle", "start")
}

func (w *world) loops(t *testing.T) {
	vm, ctx := w.switchOn(t, qemu.Machine{MAC: loops, Resets: true})
	w.until(t, ctx, vm, loops, func(b *boots.Boot) bool { return found(b, "boot_loop") })
	vm.Stop()
	w.shows(t, loops, exitBad, func(b *boots.Boot) bool { return b.Outcome == boots.Stuck && b.Restarts >= 3 && found(b, "boot_loop") }, "loops", "boots one after the other")
}

// resetSector is a disk's first sector for a BIOS: it jumps to where a processor begins.
func resetSector() []byte {
	disk := make([]byte, 1<<20)
	copy(disk, []byte{0xea, 0xf0, 0xff, 0x00, 0xf0}) // ljmp $0xf000, $0xfff0
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

func (w *world) returns(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, resetSector(), 0o600); err != nil {
		t.Fatal(err)
	}
	vm, ctx := w.switchOn(t, qemu.Machine{MAC: returns, Resets: true, Disk: disk})
	w.until(t, ctx, vm, returns, func(b *boots.Boot) bool { return found(b, "disk_loop") })
	vm.Stop()
	w.shows(t, returns, 0, func(b *boots.Boot) bool {
		return b.Outcome == boots.Finished && b.Restarts+b.Returns >= 3 && b.State == "active"
	}, "returns", "one after the other")
	if err := edge.Poll(ctx, func() bool {
		return strings.Contains(w.Metrics(), `ironic_edge_boot_diagnoses_total{diagnosis="disk_loop"} 1`)
	}); err != nil {
		t.Errorf("the loop is not counted once: %v", err)
	}
}

func (w *world) stranger(t *testing.T) {
	vm, ctx := w.switchOn(t, qemu.Machine{MAC: stranger})
	var last string
	var strays []boots.Stray
	err := edge.Poll(ctx, func() bool {
		last = w.API(api.Prefix + "unknown")
		return json.Unmarshal([]byte(last), &strays) == nil && len(strays) > 0
	})
	if err != nil {
		t.Fatalf("%v: %s\nthe console: %s", err, last, vm.Console())
	}
	vm.Stop()
	out, code := w.Ask(t.Context(), "unknown", "--json")
	strays = nil
	if err := json.Unmarshal([]byte(out), &strays); err != nil || code != 0 || len(strays) != 1 || strays[0].MAC != stranger ||
		strays[0].Diagnosis.Code != boots.CodeUnknownMAC || !strings.HasPrefix(strays[0].Firmware, "iPXE/") {
		t.Fatalf("unknown: exit code %d, %v: %s", code, err, out)
	}
	page := html.UnescapeString(w.Get("/edge/unknown"))
	for _, word := range []string{stranger, strays[0].Diagnosis.Next} {
		if !strings.Contains(page, word) {
			t.Errorf("the page of unknown machines lacks %q: %s", word, page)
		}
	}
	if out, code := w.Ask(t.Context(), "boot", stranger, "--json"); code != 1 || out != "" {
		t.Errorf("boot of a machine that is no node: exit code %d, want 1: %s", code, out)
	}
}

// silent is the node whose machine is off, and no other: they have asked.
func (w *world) silent(t *testing.T) {
	var listed []boots.Silent
	text := w.API(api.Prefix + "silent")
	if err := json.Unmarshal([]byte(text), &listed); err != nil || len(listed) != 1 || listed[0].Node != rack.UUID(silent) ||
		listed[0].Diagnosis.Code != boots.CodeNeverAsked {
		t.Fatalf("silent nodes: %v: %s; want one", err, text)
	}
	page := html.UnescapeString(w.Get("/edge/"))
	for _, word := range []string{"Expected, but silent", listed[0].Diagnosis.Next} {
		if !strings.Contains(page, word) {
			t.Errorf("the page lacks %q: %s", word, page)
		}
	}
	out, code := w.Ask(t.Context(), "nodes", "--json")
	var nodes []api.Node
	if err := json.Unmarshal([]byte(out), &nodes); err != nil || code != 0 {
		t.Fatalf("nodes: exit code %d, %v: %s", code, err, out)
	}
	for _, n := range nodes {
		if (n.Stage == "silent") != (n.UUID == rack.UUID(silent)) || n.Stage == "silent" && n.Advice != listed[0].Diagnosis.Next {
			t.Errorf("nodes shows %+v", n)
		}
	}
	if out, code := w.Ask(t.Context(), "boot", silent, "--json"); code != 1 {
		t.Errorf("boot of a node that never booted: exit code %d, want 1: %s", code, out)
	}
}

// all looks at the machines together, when each has come to its end.
func (w *world) all(t *testing.T) {
	out, code := w.Ask(t.Context(), "boots", "--json")
	var listed []boots.Boot
	if err := json.Unmarshal([]byte(out), &listed); err != nil || code != exitBad {
		t.Fatalf("boots: exit code %d, want %d, %v: %s", code, exitBad, err, out)
	}
	looped, disks := 0, 0
	for _, b := range listed {
		if b.Node == rack.UUID(returns) && b.Outcome == boots.Finished {
			disks++
		}
		if b.Node == rack.UUID(loops) && b.Outcome == boots.Superseded {
			looped++
		}
	}
	if looped < 3 {
		t.Errorf("boots has %d boots of the machine in a loop that another one followed, want 3 at least: %s", looped, out)
	}
	metrics := strings.Split(w.Metrics(), "\n")
	for _, want := range []string{
		`ironic_edge_boots_total{kind="deploy",outcome="finished"} 1`,
		fmt.Sprintf(`ironic_edge_boots_total{kind="deploy",outcome="superseded"} %d`, looped),
		fmt.Sprintf(`ironic_edge_boots_total{kind="boot_whole_disk",outcome="finished"} %d`, disks),
		fmt.Sprintf(`ironic_edge_boot_duration_seconds_count{outcome="finished"} %d`, 1+disks),
		`ironic_edge_boot_stage_duration_seconds_count{stage="ramdisk"} 1`,
		`ironic_edge_agent_lookups_total{decision="allowed"} 1`,
	} {
		if !slices.Contains(metrics, want) {
			t.Errorf("the metrics lack %s; they have\n%s", want, strings.Join(slices.DeleteFunc(metrics, func(s string) bool { return !strings.HasPrefix(s, "ironic_edge_") }), "\n"))
		}
	}
}

func found(b *boots.Boot, code boots.Code) bool {
	return slices.ContainsFunc(b.Diagnoses, func(d boots.Diagnosis) bool { return d.Code == code })
}
