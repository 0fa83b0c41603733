// SPDX-License-Identifier: Apache-2.0

// Package ironicedge holds no code, only the tests of the house rules.
package ironicedge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/ironic-edge/ironic-edge"

// listed is a package as `go list` shows it.
type listed struct {
	ImportPath, Dir, Doc, Name string
	GoFiles, IgnoredGoFiles    []string
	TestGoFiles, XTestGoFiles  []string
	Imports                    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-pgo=off", "-json", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		all = append(all, p)
	}
	return all
}

// arrows says what a package may import: packages of this module by their path in it, others by a prefix. What is not
// named here may import the standard library only.
var arrows = map[string][]string{
	"ipxe":                  {},
	"ipxe/ipxetest":         {},
	"cache":                 {},
	"cache/disk":            {"cache"},
	"cache/lookup":          {"cache", "github.com/dgraph-io/ristretto/v2"},
	"cache/origin":          {"cache", "golang.org/x/time"},
	"cache/rules":           {"cache"},
	"cache/shared":          {"cache", "cache/disk", "cache/rules"},
	"ironic":                {"ipxe", "github.com/gophercloud/gophercloud/v2"},
	"ironic/ironictest":     {},
	"ironic/notification":   {"ipxe", "github.com/rabbitmq/amqp091-go"},
	"caddymodule/boots":     {},
	"caddymodule/handover":  {"github.com/caddyserver/caddy/v2", "go.uber.org/zap", "golang.org/x/sys"},
	"caddymodule/inventory": {"ipxe", "ironic"},
	"caddymodule/api":       {},
	"caddymodule/command": {"caddymodule/api", "caddymodule/boots", "github.com/caddyserver/caddy/v2", "github.com/dustin/go-humanize", "github.com/insomniacslk/dhcp",
		"github.com/spf13/cobra", "golang.org/x/term"},
	"caddymodule/page": {"caddymodule/api", "caddymodule/boots", "github.com/dustin/go-humanize"},
	"caddymodule/seen": {},
	"caddymodule": {"caddymodule/api", "caddymodule/boots", "caddymodule/command", "caddymodule/handover", "caddymodule/inventory", "caddymodule/page", "caddymodule/seen", "ipxe", "ipxe/ipxetest", "ironic", "ironic/ironictest", "ironic/notification", "cache", "cache/disk", "cache/lookup", "cache/origin", "cache/rules", "cache/shared", "github.com/caddyserver/caddy/v2",
		"go.uber.org/zap", "go.opentelemetry.io/otel", "go.opentelemetry.io/contrib/exporters/autoexport", "github.com/dustin/go-humanize", "golang.org/x/time", "github.com/prometheus/client_golang", "github.com/spf13/cobra"},
	"cmd/xcaddy-build": {"caddymodule", "github.com/caddyserver/caddy/v2"},
}

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, "integration") || strings.HasPrefix(p.ImportPath, "bench") || strings.HasPrefix(p.ImportPath, "ironic/ironiccontract") {
			continue // they drive everything
		}
		for _, i := range p.Imports {
			if first, _, _ := strings.Cut(i, "/"); !strings.Contains(first, ".") {
				continue
			}
			if !allowed(arrows[p.ImportPath], i) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func allowed(arrows []string, path string) bool {
	for _, a := range arrows {
		if path == module+"/"+a || strings.HasPrefix(path+"/", a+"/") {
			return true
		}
	}
	return false
}

func TestPackagesHaveOneDocComment(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		n := 0
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), p.Dir+"/"+name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				n++
			}
		}
		if n > 1 {
			t.Errorf("%s has %d package comments", p.ImportPath, n)
		}
	}
}

func TestGoModHasNoReplace(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mod, []byte("replace")) {
		t.Error("go.mod has a replace directive")
	}
}

var unowned = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// TestSources reads every tracked Go file.
func TestSources(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "*.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // deleted, but not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte("// SPDX-License-Identifier: Apache-2.0\n")) {
			t.Errorf("%s does not begin with its license", name)
		}
		lines := 0
		for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); lines++ {
			if unowned.MatchString(s.Text()) && name != "policy_test.go" {
				t.Errorf("%s:%d: work left undone: %s", name, lines+1, s.Text())
			}
		}
		if lines > 500 {
			t.Errorf("%s has %d lines, more than one sitting", name, lines)
		}
	}
}
