// SPDX-License-Identifier: Apache-2.0

// Command xcaddy-build is Caddy with its standard modules and ironic-edge in one binary: what
// `xcaddy build --with github.com/ironic-edge/ironic-edge/caddymodule` would make, with the edge's commands as its own.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/ironic-edge/ironic-edge/caddymodule"
)

// ballast is address space that nobody touches, so it takes no memory. The garbage collector counts it: it runs when the
// heap has grown by some part, and what an edge keeps is so little that under load it would run a hundred times a second.
var ballast = make([]byte, 48<<20)

// garbage is by how many percent the heap may grow until it is collected, unless GOGC says otherwise. With the ballast an idle
// edge has as much room as by default, and one with ten thousand machines before it takes less.
const garbage = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	caddymodule.OwnBinary()
	caddycmd.Main()
	runtime.KeepAlive(ballast)
}
