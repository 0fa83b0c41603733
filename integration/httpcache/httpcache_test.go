// SPDX-License-Identifier: Apache-2.0

//go:build integration

package httpcache

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
	"github.com/ironic-edge/ironic-edge/integration/edge"
)

var (
	report = flag.String("report", "", "directory of the report; default: the test's artifacts")
	other  = flag.String("suite", "", "directory of another copy of the suite, whose results are only reported")
)

const (
	// least is how many tests have to pass, whatever known.txt says.
	least = 280
	// leastPartial is how many of the tests about ranges have to: all but those for which a byte would have to be given
	// out whose place is not known, and the one whose 206 is of another range than the one asked for.
	leastPartial = 5
)

//go:embed known.txt
var knownText string

// known returns the reasons by test.
func known(t *testing.T) map[string]string {
	reasons := make(map[string]string)
	for line := range strings.Lines(knownText) {
		id, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if id == "" || id == "#" {
			continue
		}
		if reasons[id] != "" || strings.TrimSpace(reason) == "" {
			t.Errorf("known.txt: %s is there twice, or has no reason", id)
		}
		reasons[id] = strings.TrimSpace(reason)
	}
	return reasons
}

func TestHTTPCache(t *testing.T) {
	s, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	if *other != "" {
		s.dir = *other
	}
	tests := run(t, s)
	write(t, tests)
	if *other != "" {
		return
	}
	reasons := known(t)
	passed := make(map[string]int)
	for _, one := range tests {
		reason, listed := reasons[one.ID]
		delete(reasons, one.ID)
		switch {
		case one.Passed && listed:
			t.Errorf("%s passes; it is in known.txt because %s", one.ID, reason)
		case !one.Passed && !listed:
			t.Errorf("%s/%s: %s", one.Category, one.ID, one.Why)
		}
		if one.Passed {
			passed[""]++
			passed[one.Category]++
		}
	}
	for id := range reasons {
		t.Errorf("known.txt: the suite has no test %s", id)
	}
	if passed[""] < least {
		t.Errorf("%d tests pass, want %d", passed[""], least)
	}
	if passed["partial"] < leastPartial {
		t.Errorf("%d tests about ranges pass, want %d", passed["partial"], leastPartial)
	}
}

// run starts the suite's server, and an edge with a mirror of it, and runs the client against the edge. What changes
// something goes through reverse_proxy, by which the suite configures its server.
func run(t *testing.T, s suite) []test {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := s.node(context.WithoutCancel(ctx), filepath.Join("server", "server.mjs"),
		"npm_config_protocol=http", "npm_config_port="+port, "npm_config_pidfile="+filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "server.log")
	server, err := daemon.Start(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
	}()
	origin := "http://127.0.0.1:" + port
	if err := server.WaitUntil(ctx, func() bool { return answers(ctx, origin) }); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("the suite's server: %v: %s", err, text)
	}
	binary, err := edge.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "store")
	e, err := edge.Start(context.WithoutCancel(ctx), binary, dir, origin, "store "+store+" {\n\t\t\tmin_free 0\n\t\t}", "mirror / "+origin)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	tests, err := s.run(ctx, "http://"+e.Address)
	if err != nil {
		t.Fatalf("%v\n%s", err, daemon.Tail(e.Log()))
	}
	return tests
}

func answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	response.Body.Close()
	return true
}

// write writes the report: every test as JSON, and a summary by category.
func write(t *testing.T, tests []test) {
	dir := *report
	if dir == "" {
		dir = t.ArtifactDir()
	}
	all, err := json.MarshalIndent(tests, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	text := summary(tests)
	t.Logf("\n%s", text)
	for name, b := range map[string][]byte{"httpcache.json": all, "httpcache.txt": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func summary(tests []test) string {
	var order []string
	passed, of := make(map[string]int), make(map[string]int)
	for _, one := range tests {
		names := []string{one.Category, "all " + one.Kind, "all"}
		for i, name := range names {
			if i == 0 && of[name] == 0 {
				order = append(order, name)
			}
			of[name]++
			if one.Passed {
				passed[name]++
			}
		}
	}
	var b strings.Builder
	for _, name := range append(order, "all required", "all optimal", "all check", "all") {
		fmt.Fprintf(&b, "%-22s %3d of %3d\n", name, passed[name], of[name])
	}
	for _, one := range tests {
		if !one.Passed {
			fmt.Fprintf(&b, "%s/%s: %s\n", one.Category, one.ID, one.Why)
		}
	}
	return b.String()
}
