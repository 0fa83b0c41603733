// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

func explainCommand(c *caller) *cobra.Command {
	state := ""
	cmd := &cobra.Command{
		Use:   "explain <node>",
		Short: "Say which script a node gets, and why",
		Long: `Says which script a node would get if it asked now, by UUID, name or MAC address, how that was decided, and shows the
script. With --state it is what the node would get in that provision state. A script with secrets is not shown.

It needs no running edge with --snapshot, the file in which an edge with the option site keeps what it knows of its nodes,
nor with --live, which asks Ironic as the file of --config says. The edge's options are those in the file of --config, or
else their defaults.

Exits with 1 if no node is called that, or if nobody can tell about it, and with 0 also if the node gets no script.`,
		Example: `  ironic-edge explain r17-u01
  ironic-edge explain 52:54:00:17:00:01 --state "clean wait"
  ironic-edge explain r17-u01 --snapshot inventory.json --config Caddyfile
  ironic-edge explain r17-u01 --live --config Caddyfile`,
		Args: cobra.ExactArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			query := url.Values{"node": args}
			if state != "" {
				query.Set("state", state)
			}
			var e api.Explanation
			if err := c.get(cmd, "explain", query, &e); err != nil || c.json {
				return 0, err
			}
			out := screenOf(cmd.OutOrStdout())
			fmt.Fprintf(out, "%s %s, %s: %s (%s)\n", e.Node.UUID, plain(e.Node.Name), plain(e.Node.State), cmp.Or(e.Kind, "no script"), e.Reason)
			for _, why := range e.Why {
				fmt.Fprintf(out, "  %s\n", plain(why))
			}
			switch {
			case e.Withheld:
				fmt.Fprintln(out, "\nThe script has secrets and is not shown.")
			case e.Script != "":
				fmt.Fprintf(out, "\n%s", e.Script)
			}
			return 0, nil
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "the provision `state` that it would be in")
	c.snapshotFlag(cmd)
	cmd.Flags().BoolVar(&c.live, "live", false, "ask Ironic, not an edge")
	return cmd
}

// snapshotFlag lets a command do without a running edge.
func (c *caller) snapshotFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.snapshot, "snapshot", "", "the `file` of an inventory to read, instead of asking an edge")
}

func diffCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "diff <node>",
		Short: "Compare the edge's script with the conductor's",
		Long: `Runs the script that the edge would give a node and the one that the conductor has for it, and compares what they do
on the machine: what they fetch, start and attach, and in which order, when all goes well and when any fetch fails. It
shows the first case in which they differ. It needs the option conductor_http.

Exits with 3 if they differ, and with 1 if one of the scripts cannot be had.`,
		Example: `  ironic-edge diff r17-u01`,
		Args:    cobra.ExactArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			var d api.Diff
			if err := c.get(cmd, "diff", url.Values{"node": args}, &d); err != nil {
				return 0, err
			}
			if !c.json {
				showDiff(screenOf(cmd.OutOrStdout()), &d)
			}
			if !d.Same {
				return exitBad, nil
			}
			return 0, nil
		}),
	}
}

// showDiff writes both traces, side by side where they are the same, one above the other where they are not.
func showDiff(s *screen, d *api.Diff) {
	if d.Same {
		fmt.Fprintln(s, "Both do the same:")
		for _, step := range d.Ours {
			fmt.Fprintf(s, "  %s\n", plain(step))
		}
		return
	}
	first := 0
	for first < min(len(d.Ours), len(d.Theirs)) && d.Ours[first] == d.Theirs[first] {
		fmt.Fprintf(s, "  %s\n", plain(d.Ours[first]))
		first++
	}
	for _, step := range d.Ours[first:] {
		fmt.Fprintf(s, "edge      %s\n", plain(step))
	}
	for _, step := range d.Theirs[first:] {
		fmt.Fprintf(s, "conductor %s\n", plain(step))
	}
}
