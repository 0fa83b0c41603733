// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/command"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ironic-edge",
		Short: "Commands of the edge for OpenStack Ironic",
		CobraFunc: func(c *cobra.Command) {
			addCommands(c)
			c.Hidden = caddy.CustomBinaryName != ""
		},
	})
}

func addCommands(to *cobra.Command) {
	command.Add(to, offline)
	to.AddCommand(demoCommand())
}

// OwnBinary has the commands without ironic-edge before them, too: for a binary that is called so. It is called before
// Caddy's main function.
func OwnBinary() {
	commands := new(cobra.Command)
	addCommands(commands)
	command.Own(commands)
}

// commandName is how the commands of this process are called.
func commandName() string {
	if caddy.CustomBinaryName != "" {
		return os.Args[0]
	}
	return os.Args[0] + " ironic-edge"
}
