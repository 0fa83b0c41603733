// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	caddy := &debug.Module{Path: "github.com/caddyserver/caddy/v2", Version: "v2.11.0"}
	own := func(version string) *debug.Module { return &debug.Module{Path: modulePath, Version: version} }
	replaced := own("v1.2.3")
	replaced.Replace = &debug.Module{Path: "../ironic-edge"}
	fork := own("v1.2.3")
	fork.Replace = &debug.Module{Path: "example.org/fork", Version: "v1.2.4-0.20260101000000-0123456789ab"}
	for name, tt := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"none":             {nil, "devel"},
		"of a release":     {&debug.BuildInfo{Main: *own("v1.2.3"), Deps: []*debug.Module{caddy}}, "v1.2.3"},
		"of a directory":   {&debug.BuildInfo{Main: *own("(devel)"), Deps: []*debug.Module{caddy}}, "devel"},
		"of a test":        {&debug.BuildInfo{Main: *own(""), Deps: []*debug.Module{caddy}}, "devel"},
		"in a Caddy":       {&debug.BuildInfo{Main: debug.Module{Path: "caddy", Version: "(devel)"}, Deps: []*debug.Module{caddy, own("v1.2.3")}}, "v1.2.3"},
		"replaced":         {&debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{caddy, replaced}}, "devel"},
		"replaced by fork": {&debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{caddy, fork}}, "v1.2.4-0.20260101000000-0123456789ab"},
		"not there":        {&debug.BuildInfo{Main: debug.Module{Path: "caddy", Version: "v2.11.0"}, Deps: []*debug.Module{caddy}}, "devel"},
	} {
		if got := versionIn(tt.info); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
