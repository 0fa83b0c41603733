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
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ironic-edge": func() {
		caddycmd.RegisterCommand(caddycmd.Command{Name: "ironic-edge", Short: "Commands", CobraFunc: func(c *cobra.Command) { Add(c, nobody) }})
		os.Args = append([]string{"caddy", "ironic-edge"}, os.Args[1:]...)
		caddycmd.Main()
	}})
}

// TestScripts runs each command against an admin API that answers with the files of a script's directory api: GET status
// is api/status.json. A POST is written to sent, below its path.
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
	})
}

func files(dir string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, api.Prefix)
		text, err := os.ReadFile(filepath.Join(dir, "api", filepath.FromSlash(name)+".json"))
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
