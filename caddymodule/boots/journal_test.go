// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// journaled runs a timeline with a journal until stop is called.
func journaled(t *testing.T, limit int, path string, told *[]Notice) (m machine, stop func()) {
	t.Helper()
	m = machine{New(limit)}
	j, err := OpenJournal(path, m.Timeline)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx, j, func(n Notice) {
			if told != nil {
				*told = append(*told, n)
			}
		})
	}()
	return m, func() {
		cancel()
		<-ended
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRestart stops a timeline in the middle of a boot and goes on with it.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "sub", "boots")
		m, stop := journaled(t, 10, path, nil)
		m.script("boot_whole_disk", "active", "state")
		time.Sleep(time.Minute)
		m.script("deploy", waited, "state")
		m.fetch("deploy_kernel", "", "1000", 1000, true)
		m.fetch("deploy_ramdisk", "", "1000", 500, false)
		time.Sleep(7 * sampleEvery) // it is stuck, which is told
		before, _ := m.Get(node1)
		stop()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		var told []Notice
		m, stop = journaled(t, 10, path, &told)
		defer stop()
		if n := len(m.List(Filter{})); n != 2 {
			t.Fatalf("%d boots are there after a restart, want 2", n)
		}
		after, ok := m.Get(req1)
		if !ok || after.ID != before.ID || !after.Started.Equal(before.Started) || len(after.Events) != len(before.Events) || after.Stage != StageRamdisk {
			t.Errorf("after a restart the boot is %+v, was %+v", after, before)
		}
		if i := after.Images[1]; i.Active != 0 || i.Breaks != 1 || i.Covered != 500 {
			t.Errorf("its ramdisk is %+v", i)
		}
		m.fetch("deploy_ramdisk", "", "1000", 1000, true)
		m.call(EventLookup, 200, "")
		m.call(EventHeartbeat, 202, "")
		m.State(node1, "active")
		synctest.Wait()
		if len(told) != 1 || told[0].Kind != NoticeEnded || told[0].Boot.ID != before.ID || told[0].Boot.Outcome != Finished {
			t.Errorf("told is %+v, want the end of the boot", told)
		}
	})
}

// TestJournalPassesOverWhatItCannotRead has a file that others wrote into.
func TestJournalPassesOverWhatItCannotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "boots")
	started := time.Now().Add(-time.Hour)
	entry := func(id string, change func(*line)) string {
		l := line{Version: journalVersion, Boot: &Boot{ID: id, Node: "node-" + id, Started: started, Seen: started, Outcome: Running, Stages: []Phase{{Stage: StageScript, Begun: started}}}}
		if change != nil {
			change(&l)
		}
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := strings.Join([]string{
		entry("a", nil),
		"not a line",
		entry("future", func(l *line) { l.Version = 99 }),
		entry("nobody", func(l *line) { l.Boot.Node = "" }),
		entry("huge", func(l *line) { l.Boot.Name = strings.Repeat("x", 3*maxLine) }),
		entry("many", func(l *line) { l.Boot.Events = make([]Event, maxEvents+1) }),
		"\x00\x00",
		entry("b", nil),
		entry("b", func(l *line) { l.Boot.Name = "newer" }),
		entry("torn", nil)[:50],
	}, "\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, stop := journaled(t, 10, path, nil)
	defer stop()
	got := m.List(Filter{})
	if len(got) != 2 || got[0].ID != "b" || got[0].Name != "newer" || got[1].ID != "a" {
		t.Errorf("the boots are %+v, want b and a", got)
	}
	after, err := os.ReadFile(path)
	if err != nil || bytes.Count(after, []byte("\n")) != 2 {
		t.Errorf("the file is not written anew: %v\n%.300s", err, after)
	}
}

// TestJournalIsBounded lets boots come and go for long.
func TestJournalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "boots")
		m, stop := journaled(t, 5, path, nil)
		defer stop()
		most := int64(0)
		for i := range 1500 {
			m.Script(&Script{MAC: mac1, Node: fmt.Sprint("node-", i%9), Name: strings.Repeat("n", 1000), State: waited, Kind: "deploy", RequestID: fmt.Sprint("req-", i)})
			m.Agent(&Call{Kind: EventLookup, Node: fmt.Sprint("node-", i%9), Status: 200})
			time.Sleep(sampleEvery)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, info.Size())
		}
		if most < journalSlack || most > journalSlack+journalSlack/2 {
			t.Errorf("the file grows to %d bytes, want it written anew after %d", most, journalSlack)
		}
	})
}

// TestJournalThatCannotBeWritten is told once, and what it lacks is written when it can be.
func TestJournalThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := machine{New(10)}
		path := filepath.Join(t.TempDir(), "boots")
		j, err := OpenJournal(path, m.Timeline)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil { // as a disk that is gone
			t.Fatal(err)
		}
		failures := 0
		go m.Run(t.Context(), j, func(n Notice) {
			if n.Kind == NoticeJournal && n.Err != nil {
				failures++
			}
		})
		for range 3 {
			m.script("deploy", waited, "state")
			time.Sleep(sampleEvery)
		}
		time.Sleep(sampleEvery)
		if synctest.Wait(); failures != 1 {
			t.Errorf("the journal's failure is told %d times, want once", failures)
		}
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), node1) {
			t.Errorf("what could not be written is not there when it can be again: %v\n%s", err, text)
		}
	})
	if _, err := OpenJournal(t.TempDir(), New(1)); err == nil {
		t.Error("a directory is taken for a journal")
	}
}

// TestRestartSilent restarts a timeline while Ironic waits for a node that asks for nothing. A short pause does not put off
// that this is said; after a long one nobody knows who has asked.
func TestRestartSilent(t *testing.T) {
	for pause, want := range map[time.Duration]int{time.Minute: 1, askWithin: 0} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "boots")
				m, stop := journaled(t, 10, path, nil)
				m.script("boot_whole_disk", "active", "state")
				time.Sleep(askWithin)
				m.script("boot_whole_disk", "active", "state")
				stop()
				time.Sleep(pause)
				m, stop = journaled(t, 10, path, nil)
				defer stop()
				m.Inventory(slices.Values([]Node{{UUID: "silent", State: waited, Since: time.Now().Add(-askWithin)}}))
				if n := len(m.Silent()); n != want {
					t.Errorf("%d nodes are silent, want %d", n, want)
				}
			})
		})
	}
}
