// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// suite is a copy of http-cache-tests.
type suite struct{ dir string }

// test is one of the suite's.
type test struct {
	ID       string `json:"id"`
	Category string `json:"category"`
	Kind     string `json:"kind"` // required, optimal or check
	Passed   bool   `json:"passed"`
	Why      string `json:"why,omitempty"` // it did not
}

// installed is where integration/install.d/httpcache.sh has put the suite.
func installed() (suite, error) {
	root := os.Getenv("IRONIC_EDGE_TEST_DIR")
	if root == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return suite{}, err
		}
		root = filepath.Join(home, ".cache", "ironic-edge-test")
	}
	return suite{filepath.Join(root, "httpcache", "node_modules", "http-cache-tests")}, nil
}

// node is a command that runs a script of the suite, which the repository's copy has below test-engine.
func (s suite) node(ctx context.Context, script string, env ...string) (*exec.Cmd, error) {
	if _, err := os.Stat(filepath.Join(s.dir, script)); err != nil {
		script = filepath.Join("test-engine", script)
		if _, err := os.Stat(filepath.Join(s.dir, script)); err != nil {
			return nil, fmt.Errorf("the suite is not installed, see integration/install: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, "node", "--no-warnings", script)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), env...)
	return cmd, nil
}

// catalogue prints the tests that are not for browsers only.
const catalogue = `
import fs from 'node:fs'
const files = fs.readdirSync('tests').filter(f => f === 'index.mjs' || f === 'surrogate-control.mjs')
const all = (await Promise.all(files.map(f => import(process.cwd() + '/tests/' + f)))).flatMap(m => m.default)
const of = s => s.tests.filter(t => !t.browser_only).map(t => ({ id: t.id, category: s.id, kind: t.kind || 'required' }))
console.log(JSON.stringify(all.flatMap(of)))`

// run runs all tests against a cache and returns them in the suite's order.
func (s suite) run(ctx context.Context, base string) ([]test, error) {
	list := exec.CommandContext(ctx, "node", "--no-warnings", "--input-type=module", "-e", catalogue)
	list.Dir = s.dir
	var tests []test
	if err := output(list, &tests); err != nil {
		return nil, fmt.Errorf("list the tests: %w", err)
	}
	// An empty id means all.
	client, err := s.node(ctx, "cli.mjs", "npm_config_base="+base, "npm_package_config_id=")
	if err != nil {
		return nil, err
	}
	results := make(map[string]any)
	if err := output(client, &results); err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	for i, t := range tests {
		result, ran := results[t.ID]
		tests[i].Passed = result == true
		switch why := result.(type) {
		case []any:
			tests[i].Why = fmt.Sprintln(why...)
			tests[i].Why = tests[i].Why[:len(tests[i].Why)-1]
		case nil:
			if !ran {
				return nil, fmt.Errorf("test %s did not run", t.ID)
			}
		}
	}
	return tests, nil
}

func output(cmd *exec.Cmd, to any) error {
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, errors.String())
	}
	if err := json.Unmarshal(out, to); err != nil {
		return fmt.Errorf("%w: %s", err, errors.String())
	}
	return nil
}
