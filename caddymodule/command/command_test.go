// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ironic-edge": func() {
			commands := new(cobra.Command)
			Add(commands, nobody)
			Own(commands)
			caddycmd.Main()
		},
		"caddy": func() {
			caddycmd.RegisterCommand(caddycmd.Command{Name: "ironic-edge", Short: "Commands", CobraFunc: func(c *cobra.Command) { Add(c, nobody) }})
			caddycmd.Main()
		},
	})
}

// TestScripts runs each command against an admin API that answers with the files of a script's directory api: GET status
// is api/status.json, the second time api/status.2.json if that is there. What was asked last is written to sent. The feed of
// boots stays open if there is a file open. "exits 3 command" wants that exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			admin := httptest.NewServer(files(e.WorkDir))
			e.Defer(admin.Close)
			e.Setenv("CADDY_ADMIN", strings.TrimPrefix(admin.URL, "http://"))
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || code != want {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func files(dir string) http.HandlerFunc {
	var mu sync.Mutex
	times := make(map[string]int) // that each path was asked for
	return func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, api.Prefix)
		file := filepath.Join(dir, "api", filepath.FromSlash(name))
		mu.Lock()
		times[name]++
		number := times[name]
		mu.Unlock()
		text, err := os.ReadFile(fmt.Sprintf("%s.%d.json", file, number))
		if err != nil {
			text, err = os.ReadFile(file + ".json")
		}
		if name == "boots/stream" && err == nil {
			_, _ = w.Write(text)
			_ = http.NewResponseController(w).Flush()
			if _, err := os.Stat(filepath.Join(dir, "open")); err == nil {
				<-r.Context().Done()
			}
			return
		}
		if !ok || err != nil {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error": "no node is called that; see ironic-edge nodes", "reason": "no_node"}`))
			return
		}
		sent, _ := io.ReadAll(r.Body)
		sent = append([]byte(r.Method+" "+name+" "+r.URL.RawQuery+" "), sent...)
		if err := os.WriteFile(filepath.Join(dir, "sent"), append(bytes.TrimSpace(sent), '\n'), 0o600); err != nil {
			panic(err)
		}
		_, _ = w.Write(text)
	}
}

// TestTableFits wants rows no wider than the screen, and no cell that a terminal obeys.
func TestTableFits(t *testing.T) {
	var out bytes.Buffer
	s := &screen{Writer: &out, width: 40}
	s.table(1, []string{"A", "B", "C"}, [][]string{{"node", strings.Repeat("x", 80), "end"}, {"n", "\x1b[2Jé", "e"}})
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
		if strings.Contains(line, "\x1b") {
			t.Errorf("an escape is in %q", line)
		}
	}
}

// nobody answers without a running edge.
func nobody(_ context.Context, from Offline, path string, query url.Values) (any, error) {
	if from.Snapshot == "none" {
		return nil, errors.New("there is no such file")
	}
	uuid := fmt.Sprint(from.Config, "|", from.Snapshot, "|", query.Encode())
	if path == "nodes" {
		return []api.Node{{UUID: uuid, MACs: []string{}}}, nil
	}
	return api.Explanation{Node: api.Node{UUID: uuid}, Reason: "active"}, nil
}
