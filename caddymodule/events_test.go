// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// promised are the events, and what each has data of, as docs/operating.md says.
var promised = map[string][]string{
	eventBootStarted:   {"boot", "node", "name", "mac", "client", "firmware", "kind", "reason", "provision_state", "stage"},
	eventBootStuck:     {"boot", "node", "name", "mac", "client", "firmware", "kind", "reason", "provision_state", "stage", "diagnosis", "severity", "seen", "next"},
	eventBootFinished:  {"boot", "node", "name", "mac", "client", "firmware", "kind", "reason", "provision_state", "stage", "outcome", "seconds"},
	eventUnknownMAC:    {"mac", "client", "firmware", "count"},
	eventObjectCorrupt: {"object", "keys", "problem"},
	eventIronicDown:    {"ironic", "problem"},
	eventStale:         {"node", "name", "provision_state", "age"},
}

// TestEachEvent brings about all that there is an event of, by what machines, an origin and Ironic do, and wants a line in the
// log for each.
func TestEachEvent(t *testing.T) {
	origin := newImageServer(t, image(1<<20))
	ironic := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer ironic.Close()
	address, dir := freeAddress(t), t.TempDir()
	log := filepath.Join(dir, "log")
	subscribed := ""
	for name := range promised {
		subscribed += "\t\ton " + name + " ironic_edge_test\n"
	}
	config := siteConfig(address, ironic.URL, "node_ttl 1ms", "allow_origins "+origin.URL, "store "+filepath.Join(dir, "store")+" {\n\t\t\tmin_free 0\n\t\t}",
		"mirror /m/ "+origin.URL+"/ {\n\t\t\tsha256 file "+strings.Repeat("0", 64)+"\n\t\t}")
	config = strings.Replace(config, "{\n", "{\n\tlog {\n\t\toutput file "+log+"\n\t}\n\tevents {\n"+subscribed+"\t}\n", 1)
	recorded.block, recorded.events = make(chan struct{}), nil
	close(recorded.block)
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	script := func(n int) {
		download(t, "http://"+address+"/pxelinux.cfg/"+nodeMAC(n), "User-Agent: iPXE/1.21.1+")
	}
	events := func(name string) (found []caddy.Event) {
		recorded.mu.Lock()
		defer recorded.mu.Unlock()
		for _, e := range recorded.events {
			if e.Name() == name {
				found = append(found, e)
			}
		}
		return found
	}
	for range 5 { // its disk, and it comes back
		script(6)
	}
	script(2)
	download(t, "http://"+address+"/pxelinux.cfg/52-54-00-99-00-01", "User-Agent: iPXE/1.21.1+")
	if response, err := http.Get("http://" + address + "/m/file"); err == nil { // whose end is withheld
		response.Body.Close()
	}
	eventually(t, "the object is found corrupt", func() bool { return len(events(eventObjectCorrupt)) > 0 })
	ironic.Stop()
	eventually(t, "Ironic is down", func() bool {
		for n := range 12 {
			script(n + 1)
		}
		return len(events(eventIronicDown)) == 1
	})
	script(6)
	for name, data := range promised {
		eventually(t, name+" is told", func() bool { return len(events(name)) > 0 })
		for _, e := range events(name) {
			for _, field := range data {
				if _, ok := e.Data[field]; !ok {
					t.Errorf("%s has no %s: %v", name, field, e.Data)
				}
			}
			for field := range e.Data {
				if !slices.Contains(data, field) && field != "diagnosis" && field != "severity" && field != "seen" && field != "next" {
					t.Errorf("%s has %s, which nobody was promised", name, field)
				}
			}
		}
	}
	if stuck := events(eventBootStuck); len(stuck) != 1 || stuck[0].Data["diagnosis"] != "disk_loop" || stuck[0].Data["node"] != nodeUUID(6) {
		t.Errorf("stuck are %v", stuck)
	}
	manual, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range promised {
		for _, word := range append(data, name) {
			if !strings.Contains(string(manual), "`"+word+"`") {
				t.Errorf("docs/operating.md does not say what %s is", word)
			}
		}
	}

	for message, fields := range map[string][]string{
		"boot": {"node", "name", "macs", "clients", "firmware", "kind", "reason", "provision_state", "stage", "outcome", "duration", "scripts", "restarts"},
		"an object is bad and was taken out of the store": {"object", "why", "quarantine"},
		"boot is stuck": {"node", "diagnosis", "seen", "next"},
		"a machine that Ironic does not know asks for its boot":                                                                         {"mac", "client", "firmware", "count"},
		"Ironic is down; nodes get what is known of them, or are told to come back, while one look at a time finds out when it is back": {"ironic", "reason"},
		"Ironic does not answer; a node gets what was right when it last did":                                                           {"node", "provision_state", "age"},
	} {
		eventually(t, message+" is in the log", func() bool { return len(lines(t, log, message)) > 0 })
		for _, line := range lines(t, log, message) {
			for _, field := range fields {
				if _, ok := line[field]; !ok {
					t.Errorf("%q has no %s: %v", message, field, line)
				}
			}
		}
	}
}

// lines are those of a log that have a message.
func lines(t *testing.T, log, message string) (found []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found
}

// TestDiskLoopIsShown has a machine come back from its disk: the admin API, the page and the metrics say so.
func TestDiskLoopIsShown(t *testing.T) {
	ironic := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer ironic.Close()
	address := freeAddress(t)
	a := administer(t, strings.Replace(siteConfig(address, ironic.URL), "\treverse_proxy", "\tironic_edge_status\n\treverse_proxy", 1))
	before := metricValue(t, collectors.boots.found.WithLabelValues("disk_loop"))
	for range 6 {
		download(t, "http://"+address+"/pxelinux.cfg/"+nodeMAC(6), "User-Agent: iPXE/1.21.1+")
	}
	eventually(t, "it is counted", func() bool { return metricValue(t, collectors.boots.found.WithLabelValues("disk_loop")) == before+1 })
	b := tell[[]boots.Boot](t, a, "GET boots?node=rack17-n06")
	if len(b) != 1 || b[0].Outcome != boots.Finished || len(b[0].Diagnoses) != 1 || b[0].Diagnoses[0].Code != "disk_loop" || b[0].Diagnoses[0].Severity != boots.Warning {
		t.Fatalf("the boots are %+v", b)
	}
	if nodes := tell[[]api.Node](t, a, "GET nodes"); len(nodes) != 1 || nodes[0].Advice != b[0].Diagnoses[0].Next {
		t.Errorf("nodes are %+v", nodes)
	}
	for _, path := range []string{"", "boot/" + b[0].ID} {
		_, page := download(t, "http://"+address+"/edge/"+path)
		for _, words := range []string{"sent to its disk 6 times one after the other", b[0].Diagnoses[0].Next} {
			if !strings.Contains(string(page), words) {
				t.Errorf("the page %q lacks %q", path, words)
			}
		}
	}
}
