// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"runtime/debug"
	"strings"
)

const modulePath = "github.com/ironic-edge/ironic-edge"

// userAgent names this edge to the servers that it asks.
var userAgent = "ironic-edge/" + version()

// version is this module's, in whatever binary it is: Caddy's own is another.
func version() string {
	info, _ := debug.ReadBuildInfo()
	return versionIn(info)
}

// versionIn is devel where the binary was built from a directory that has no version.
func versionIn(info *debug.BuildInfo) string {
	const devel = "devel"
	if info == nil {
		return devel
	}
	for _, module := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if module.Path != modulePath {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		if strings.HasPrefix(module.Version, "v") {
			return module.Version
		}
	}
	return devel
}
