// SPDX-License-Identifier: Apache-2.0

// Package command is what the edge has on the command line: it asks a running edge by Caddy's admin API and shows what it says.
// Some of it can be had without a running edge, from who adds the commands.
package command

import (
	"context"
	"fmt"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// exitBad is the exit code for what was found out and is bad: a node is stuck, a check failed, scripts differ.
const exitBad = 3

// Offline is where to look without a running edge.
type Offline struct {
	Config   string // file with the edge's options; empty: their defaults
	Snapshot string // an inventory's file; empty: Ironic is asked, as Config says
}

// Answer answers GET path?query of the admin API without a running edge.
type Answer func(ctx context.Context, from Offline, path string, query url.Values) (any, error)

// Add adds the commands to `ironic-edge`.
func Add(parent *cobra.Command, offline Answer) {
	c := &caller{offline: offline}
	flags := parent.PersistentFlags()
	flags.StringVar(&c.address, "address", "", "the admin API's `address`, such as localhost:2019 or unix//run/ironic-edge/admin.sock")
	flags.StringVar(&c.config, "config", "", "the configuration `file` that names that address, and has the options of what is told without an edge")
	flags.StringVar(&c.edge, "edge", "", "the `name` of the edge, where the process has several")
	flags.BoolVar(&c.json, "json", false, "print what the admin API says, as JSON")
	parent.SetHelpTemplate(new(cobra.Command).HelpTemplate()) // Caddy's names Caddy's manual
	parent.Long = `Shows and steers a running edge, by Caddy's admin API.

The admin API is looked for at --address, else at $CADDY_ADMIN, else where the file of --config says, else at
` + defaultSocket + ` if that is there, else at localhost:2019.

Commands exit with 0 if all is well, with 1 if they were called wrongly or could not find out or do what they should, and
with 3 if what they found is bad: a node is stuck, a check failed, scripts differ.`
	parent.AddCommand(
		statusCommand(c), bootsCommand(c), bootCommand(c), nodesCommand(c), silentCommand(c), unknownCommand(c), imagesCommand(c),
		prefetchCommand(c), purgeCommand(c), scrubCommand(c), refreshCommand(c),
		explainCommand(c), diffCommand(c), doctorCommand(c), snippetCommand(),
	)
}

// Own makes each command below parent one of the binary, which is the edge's own then and called ironic-edge. Below their
// common name they go on, unseen.
func Own(parent *cobra.Command) {
	caddy.CustomBinaryName = "ironic-edge"
	caddy.CustomLongDescription = `ironic-edge boots the machines of a rack for OpenStack Ironic. It is a Caddy with a module: "ironic-edge run" runs what the
Caddyfile in the working directory says, and Caddy's other commands are there, too.

"ironic-edge status", "boots" and those around them ask the edge that runs; "ironic-edge demo" shows all of it on one
machine.`
	for _, c := range parent.Commands() {
		caddycmd.RegisterCommand(caddycmd.Command{Name: c.Name(), Short: c.Short, CobraFunc: func(own *cobra.Command) {
			*own = *c
			own.SetHelpTemplate(parent.HelpTemplate())
			own.PersistentFlags().AddFlagSet(parent.PersistentFlags())
		}})
	}
}

// run makes a command's function of one that returns an exit code or an error.
func run(f func(cmd *cobra.Command, args []string) (int, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		code, err := f(cmd, args)
		if err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "ironic-edge: %v\n", err)
			return err
		}
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, args)
	}
}
