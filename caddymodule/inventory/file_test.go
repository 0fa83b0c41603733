// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ipxe"
)

const (
	uuid1 = "6d4c7e01-1700-4000-8000-000000000001"
	uuid2 = "6d4c7e01-1700-4000-8000-000000000002"
)

func someRecords() []record {
	facts := func(uuid string) *ipxe.Node {
		return &ipxe.Node{UUID: uuid, Name: "n", ProvisionState: ipxe.Active, Deploy: ipxe.Images{Kernel: "http://a/k", Ramdisk: "http://a/r"}}
	}
	return []record{
		{UUID: uuid1, State: ipxe.Active, Age: time.Second, Facts: facts(uuid1),
			Ports: []portRecord{{ipxe.Port{Address: "52:54:00:17:00:01"}, time.Minute}}},
		{UUID: uuid2, State: ipxe.Active, Age: time.Second, Facts: facts(uuid2)},
	}
}

func written(t testing.TB, h header, records []record) []byte {
	t.Helper()
	text, _, err := encode(h, records)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestRead reads files of which something is wrong.
func TestRead(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	good := written(t, header{Identity: "this", Saved: now.Add(-time.Hour)}, someRecords())
	at := func(saved time.Time) []byte { return written(t, header{Saved: saved}, someRecords()) }
	with := func(change func(*record)) []byte {
		records := someRecords()
		change(&records[0])
		return written(t, header{Saved: now}, records)
	}
	for name, tt := range map[string]struct {
		text  []byte
		about string // of the error; empty: none
		facts int    // of how many nodes
	}{
		"whole":             {good, "", 2},
		"a node closed":     {append(bytes.Clone(good), "closed "+uuid1+"\n"...), "", 1},
		"closed twice":      {append(bytes.Clone(good), "closed "+uuid1+"\nclosed "+uuid1+"\n"...), "", 1},
		"an unknown closed": {append(bytes.Clone(good), "closed "+uuid1[:35]+"9\n"...), "damaged at the end", 0},
		"a line torn":       {append(bytes.Clone(good), "closed "+uuid1...), "damaged at the end", 0},
		"zeros at the end":  {append(bytes.Clone(good), 0, 0, 0), "damaged at the end", 0},
		"empty":             {nil, "no inventory", 0},
		"of another kind":   {[]byte(`{"format": "x"}` + "\n"), "no inventory", 0},
		"of the future's format": {bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1),
			"version 2", 0},
		"cut":                   {good[:len(good)-10], "node 2 of 2", 0},
		"a changed byte":        {bytes.Replace(good, []byte("http://a/k"), []byte("http://b/k"), 1), "checksum", 0},
		"a changed header":      {bytes.Replace(good, []byte("T11:00"), []byte("T11:59"), 1), "checksum", 0},
		"another identity":      {bytes.Replace(good, []byte(`"this"`), []byte(`"that"`), 1), "checksum", 0},
		"from the future":       {at(now.Add(time.Second)), "the clock was set back", 0},
		"older than any window": {at(now.Add(-25 * time.Hour)), "was written", 0},
		"facts past any window": {with(func(r *record) { r.Age = 25 * time.Hour }), "", 1},
		"facts of another":      {with(func(r *record) { r.Facts.UUID = uuid2 }), "another", 0},
		"another state":         {with(func(r *record) { r.State = ipxe.Deploying }), "another", 0},
		"no UUID":               {with(func(r *record) { r.UUID = "x" }), "UUID", 0},
		"no age":                {with(func(r *record) { r.Age = -1 }), "age", 0},
		"no address":            {with(func(r *record) { r.Ports[0].Address = "x" }), "address", 0},
		"an address of no age":  {with(func(r *record) { r.Ports[0].Age = -1 }), "age", 0},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "site.json")
			if err := os.WriteFile(file, tt.text, 0o600); err != nil {
				t.Fatal(err)
			}
			_, records, err := read(file, now, 24*time.Hour)
			facts := 0
			for _, r := range records {
				if r.Facts != nil {
					facts++
				}
			}
			if tt.about == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.about) || facts != tt.facts {
				t.Errorf("%d facts, %v; want %d, %q", facts, err, tt.facts, tt.about)
			}
			if name == "whole" && (records[0].Age != time.Hour+time.Second || records[0].Ports[0].Age != time.Hour+time.Minute) {
				t.Errorf("ages %v and %v; want an hour more than was written", records[0].Age, records[0].Ports[0].Age)
			}
		})
	}
}

// FuzzDecode reads anything. What is read was written so, but for what has been closed.
func FuzzDecode(f *testing.F) {
	good := written(f, header{Identity: "this", Saved: time.Unix(1_700_000_000, 0)}, someRecords())
	f.Add(good)
	f.Add(append(bytes.Clone(good), "closed "+uuid1+"\n"...))
	f.Add(append(bytes.Clone(good), "closed "...))
	f.Add([]byte(`{"format":"ironic-edge inventory","version":1,"nodes":1000000000}` + "\n"))
	f.Add([]byte(`{"format":"ironic-edge inventory","version":1,"nodes":-1}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, records, err := decode(text)
		if err != nil {
			if records != nil {
				t.Error("records beside an error")
			}
			return
		}
		if len(records) != max(h.Nodes, 0) {
			t.Fatalf("%d records, and %d nodes in the header", len(records), h.Nodes)
		}
		for _, r := range records {
			_ = r.check()
		}
		again, _, err := decode(written(t, h, records))
		if err != nil || again.Identity != h.Identity || !again.Saved.Equal(h.Saved) {
			t.Errorf("written again it is %+v, %v; was %+v", again, err, h)
		}
	})
}

// TestSecrets wants no facts in the file where a secret may be among them.
func TestSecrets(t *testing.T) {
	params := func(s string) func(*ipxe.Node) { return func(n *ipxe.Node) { n.KernelAppendParams = &s } }
	for name, tt := range map[string]struct {
		change func(*ipxe.Node)
		kept   bool
	}{
		"plain":                   {func(*ipxe.Node) {}, true},
		"a parameter":             {params("nofb console=ttyS0,115200 ipa-insecure=1"), true},
		"Glance, and by digest":   {func(n *ipxe.Node) { n.Deploy.Kernel, n.Deploy.Ramdisk = uuid1, "oci://host/name@sha256:00" }, true},
		"a Swift signature":       {func(n *ipxe.Node) { n.Deploy.Kernel = "https://swift/k?temp_url_sig=hunter2&temp_url_expires=1" }, false},
		"an ISO's":                {func(n *ipxe.Node) { n.BootISO = "https://s3/iso?X-Amz-Signature=hunter2" }, false},
		"a user":                  {func(n *ipxe.Node) { n.Rescue.Ramdisk = "http://me:hunter2@host/r" }, false},
		"an installer's":          {func(n *ipxe.Node) { n.Stage2 = "http://host/stage2?hunter2" }, false},
		"a repository's":          {func(n *ipxe.Node) { n.RepositoryURL = "http://me:hunter2@host/" }, false},
		"an instance's":           {func(n *ipxe.Node) { n.Instance.Kernel = "http://host/k?hunter2" }, false},
		"a password":              {params("quiet rootpw.password=hunter2"), false},
		"a key":                   {params("sshkey=hunter2"), false},
		"a URL in the parameters": {params("inst.ks=http://me:hunter2@host/ks.cfg"), false},
		"of a ramdisk":            {func(n *ipxe.Node) { n.RamdiskKernelArguments = "API_TOKEN=hunter2" }, false},
		"a volume": {func(n *ipxe.Node) {
			n.BootVolume, n.Volumes = uuid2, []ipxe.Volume{{UUID: uuid2, Type: "iscsi", Username: "hunter2"}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := ipxe.Node{UUID: uuid1, ProvisionState: ipxe.Active}
			tt.change(&n)
			k := &known{node: &n, uuid: uuid1, state: ipxe.Active}
			text, err := json.Marshal(k.record(time.Now()))
			if err != nil {
				t.Fatal(err)
			}
			if kept := strings.Contains(string(text), `"facts"`); kept != tt.kept || strings.Contains(string(text), "hunter2") {
				t.Errorf("kept %v, want %v: %s", kept, tt.kept, text)
			}
		})
	}
}

// TestClosedWhileWritten has agents report before, during and after the writing of the file.
func TestClosedWhileWritten(t *testing.T) {
	f := file{name: filepath.Join(t.TempDir(), "below", "site.json")}
	facts := func(want int) {
		t.Helper()
		_, records, err := read(f.name, time.Now(), time.Hour)
		n := 0
		for _, r := range records {
			if r.Facts != nil {
				n++
			}
		}
		if err != nil || n != want {
			t.Errorf("facts of %d nodes, %v; want %d", n, err, want)
		}
	}
	f.closed(uuid1) // there is no file yet
	f.begin()
	f.closed(uuid2)
	if err := f.write(header{Saved: time.Now()}, someRecords()); err != nil {
		t.Fatal(err)
	}
	facts(1)
	f.closed(uuid2)
	f.closed(uuid1)
	f.closed(uuid1)
	facts(0)
	info, err := os.Stat(f.name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	f.begin()
	if err := f.write(header{Saved: time.Now()}, someRecords()); err != nil {
		t.Fatal(err)
	}
	facts(2)
	// What cannot be noted makes the file go.
	if err := os.Remove(f.name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.name, 0o700); err != nil {
		t.Fatal(err)
	}
	f.closed(uuid1)
	if _, err := os.Stat(f.name); !os.IsNotExist(err) {
		t.Errorf("a file that takes no notes is still there: %v", err)
	}
}

const child = "IRONIC_EDGE_TEST_INVENTORY"

// TestKilledWhileWriting kills a process that writes all the time, and wants a whole file of it each time.
func TestKilledWhileWriting(t *testing.T) {
	if name := os.Getenv(child); name != "" {
		f := file{name: name}
		for {
			f.begin()
			if err := f.write(header{Identity: fmt.Sprint(os.Getpid()), Saved: time.Now()}, someRecords()); err != nil {
				t.Fatal(err)
			}
			f.closed(uuid1)
		}
	}
	name := filepath.Join(t.TempDir(), "site.json")
	for range 10 {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKilledWhileWriting$")
		c.Env = append(os.Environ(), child+"="+name)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		writer, deadline := "", time.Now().Add(30*time.Second)
		for ; writer != fmt.Sprint(c.Process.Pid) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			_, writer, _ = ReadFile(name)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		nodes, identity, err := ReadFile(name)
		if err != nil || len(nodes) != 2 || identity != fmt.Sprint(c.Process.Pid) {
			t.Fatalf("%d nodes, written by %q, %v", len(nodes), identity, err)
		}
	}
}

// TestRecordIsTheNode wants what is written of a node to be read again.
func TestRecordIsTheNode(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := &known{uuid: uuid1, name: "r17-u07", asset: "DC2-0815", state: ipxe.Active, stateUpdated: now.Add(-time.Hour), asked: now.Add(-time.Minute),
		ports: map[string]port{"52:54:00:17:00:07": {ipxe.Port{Address: "52:54:00:17:00:07"}, now.Add(-time.Minute)}}}
	r := k.record(now)
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var read record
	if err := json.Unmarshal(line, &read); err != nil {
		t.Fatal(err)
	}
	got := read.known(now)
	if !got.restored || got.uuid != k.uuid || got.name != k.name || got.asset != k.asset || got.state != k.state || !got.stateUpdated.Equal(k.stateUpdated) ||
		!got.asked.Equal(k.asked) || len(got.ports) != 1 || !got.ports["52:54:00:17:00:07"].asked.Equal(k.asked) {
		t.Errorf("got %+v of %s, want %+v", got, line, k)
	}
}
