// SPDX-License-Identifier: Apache-2.0

// Command xcaddy-build is Caddy with its standard modules and ironic-edge in one binary: what
// `xcaddy build --with github.com/ironic-edge/ironic-edge/caddymodule` would make.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/ironic-edge/ironic-edge/caddymodule"
)

func main() { caddycmd.Main() }
