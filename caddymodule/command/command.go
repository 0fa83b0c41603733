// SPDX-License-Identifier: Apache-2.0

// Package command is `ironic-edge` on the command line: it asks a running edge by Caddy's admin API and shows what it says.
package command

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// exitBad is the exit code for what was found out and is bad: a node is stuck, a check failed, scripts differ.
const exitBad = 3

// Add adds the commands to `ironic-edge`.
func Add(parent *cobra.Command) {
	c := new(caller)
	flags := parent.PersistentFlags()
	flags.StringVar(&c.address, "address", "", "the admin API's `address`, such as localhost:2019 or unix//run/ironic-edge/admin.sock")
	flags.StringVar(&c.config, "config", "", "the configuration `file` that names that address")
	flags.StringVar(&c.edge, "edge", "", "the `name` of the edge, where the process has several")
	flags.BoolVar(&c.json, "json", false, "print what the admin API says, as JSON")
	parent.Long = `Shows and steers a running edge, by Caddy's admin API.

The admin API is looked for at --address, else at $CADDY_ADMIN, else where the file of --config says, else at
` + defaultSocket + ` if that is there, else at localhost:2019.

Commands exit with 0 if all is well, with 1 if they were called wrongly or could not find out or do what they should, and
with 3 if what they found is bad: a node is stuck, a check failed, scripts differ.`
	parent.AddCommand(
		statusCommand(c), bootsCommand(c), bootCommand(c), nodesCommand(c), unknownCommand(c), imagesCommand(c),
		prefetchCommand(c), purgeCommand(c), scrubCommand(c), refreshCommand(c),
		explainCommand(c), diffCommand(c), doctorCommand(c), snippetCommand(),
	)
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
