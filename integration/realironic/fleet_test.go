// SPDX-License-Identifier: Apache-2.0

//go:build integration

package realironic

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

var (
	captureDir = flag.String("capture", "", "write what was captured to `directory`/<release>[-tuned]/<case>.json and boot.ipxe")
	only       = flag.String("case", "", "drive only the cases that match `regexp`")
)

// tuned are conductor options that change what the scripts look like.
var tuned = Options{NetbootFallback: true, Timeout: 60, KernelAppendParams: "nofb console=ttyS0,115200n8", Debug: true,
	FallbackScript: "fallback.ipxe", InspectionParams: "ipa-inspection-collectors=default,logs ipa-insecure=1"}

// fleetTimeout is for all nodes of a release together.
const fleetTimeout = 4 * time.Minute

func TestRealIronicFleet(t *testing.T) {
	t.Parallel()
	runs := map[string]struct {
		release Release
		options Options
		tuned   bool
	}{
		"21.4":       {release: Release21},
		"39.0":       {release: Release39},
		"21.4-tuned": {release: Release21, options: tuned, tuned: true},
		"39.0-tuned": {release: Release39, options: tuned, tuned: true},
	}
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, err := Start(t.Context(), run.release, t.TempDir(), run.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := i.Stop(); err != nil {
					t.Error(err)
				}
			})
			var cases []Case
			for _, c := range CasesOf(run.release, run.tuned) {
				if regexp.MustCompile(*only).MatchString(c.Name) {
					cases = append(cases, c)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), fleetTimeout)
			defer cancel()
			nodes, err := Fleet(ctx, i, cases)
			if err != nil {
				t.Error(err)
			}
			for _, n := range nodes {
				r, err := Capture(t.Context(), i, n)
				if err != nil {
					t.Error(err)
					continue
				}
				write(t, filepath.Join(name, n.Case+".json"), r)
			}
			b, err := i.Bootstrap()
			if err != nil {
				t.Error(err)
			}
			write(t, filepath.Join(name, "boot.ipxe"), b)
			t.Logf("ironic %s: %d of %d nodes arrived", name, len(nodes), len(cases))
			if *captureDir != "" && t.Failed() {
				b, _ := os.ReadFile(i.Log)
				_ = os.WriteFile(filepath.Join(*captureDir, name, "ironic.log"), b, 0o600)
			}
		})
	}
}

// write puts a value below the directory of -capture, if there is one.
func write(t *testing.T, name string, v any) {
	t.Helper()
	if *captureDir == "" {
		return
	}
	b := []byte{}
	if s, ok := v.(string); ok {
		b = []byte(s)
	} else {
		var err error
		if b, err = json.MarshalIndent(v, "", "  "); err != nil {
			t.Fatal(err)
		}
	}
	name = filepath.Join(*captureDir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
