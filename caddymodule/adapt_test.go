// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write what is got into the golden files")

const dashes = "\n----------\n"

// TestAdapt takes each Caddyfile of testdata/adapt through the adapter and through the load of the configuration. Below
// the dashes stands the JSON of our handler, or the error. Files that begin with "site" are whole Caddyfiles, those that begin
// with "status" what stands beside an ironic_edge, the others the inside of an ironic_edge block.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	t.Setenv("IRONIC_PASSWORD", "s3cret")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(text), dashes)
			source, handler := input, directive
			switch {
			case strings.HasPrefix(name, "status"):
				source, handler = "http://:8080 {\n\tironic_edge {\n\t\tironic http://127.0.0.1:6385\n\t}\n"+input+"\n}\n", pageDirective
			case !strings.HasPrefix(name, "site"):
				source = "http://:8080 {\n\tironic_edge {\n" + input + "\n\t}\n}\n"
			}
			got := adaptAndLoad(t, source, handler)
			if *update {
				if err := os.WriteFile(file, []byte(input+dashes+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != strings.TrimSpace(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(got, "s3cret") {
				t.Error("a secret is shown")
			}
		})
	}
}

// adaptAndLoad returns the JSON of a handler, or the error of adapting or validating the whole.
func adaptAndLoad(t *testing.T, source, handler string) string {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(source), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + oneLine(err.Error())
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		_, text, _ := strings.Cut(err.Error(), "provision http.handlers."+handler+": ")
		if text == "" {
			text = err.Error()
		}
		return "error: " + text
	}
	return handlerJSON(t, adapted, handler)
}

// handlerJSON finds a handler in an adapted configuration and prints it.
func handlerJSON(t *testing.T, adapted []byte, name string) string {
	t.Helper()
	var tree any
	if err := json.Unmarshal(adapted, &tree); err != nil {
		t.Fatal(err)
	}
	handler := find(tree, name)
	if handler == nil {
		t.Fatalf("no handler in %s", adapted)
	}
	delete(handler, "handler")
	out := new(bytes.Buffer)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(handler); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func find(tree any, name string) map[string]any {
	switch tree := tree.(type) {
	case map[string]any:
		if tree["handler"] == name {
			return tree
		}
		for _, v := range tree {
			if h := find(v, name); h != nil {
				return h
			}
		}
	case []any:
		for _, v := range tree {
			if h := find(v, name); h != nil {
				return h
			}
		}
	}
	return nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
