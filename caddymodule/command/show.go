// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

func statusCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the edge, its way to Ironic and its store are",
		Long: `Shows for each edge of the process whether Ironic can be asked, how old what is known of the nodes is, how the boots
go, what is in the store and what it saved, and the last three requests that were refused (all that are remembered with
--json).

Exits with 3 if Ironic cannot be asked, a boot is stuck or an object of the store was bad, and with 1 if the edge does not
answer.`,
		Example: `  ironic-edge status
  ironic-edge status --json | jq '.edges[].store.used'`,
		Args: cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			var status api.Status
			if err := c.get(cmd, "status", nil, &status); err != nil {
				return 0, err
			}
			code := 0
			for _, e := range status.Edges {
				if !e.Ironic.Up || e.Stuck > 0 || e.Store != nil && e.Store.Bad > 0 {
					code = exitBad
				}
			}
			if !c.json {
				showStatus(screenOf(cmd.OutOrStdout()), &status)
			}
			return code, nil
		}),
	}
}

func showStatus(s *screen, status *api.Status) {
	fmt.Fprintf(s, "ironic-edge %s\n", plain(status.Version))
	for _, e := range status.Edges {
		fmt.Fprintf(s, "\n%s\n", plain(e.Name))
		line := func(name, format string, args ...any) {
			fmt.Fprintf(s, "  %-10s %s\n", name, plain(fmt.Sprintf(format, args...)))
		}
		state, since := "up", ""
		if !e.Ironic.Up {
			state = "down"
		}
		if e.Ironic.Since != nil {
			since = " for " + api.Ago(status.Time.Sub(*e.Ironic.Since))
		}
		line("ironic", "%s%s, %s", state, since, strings.Join(e.Ironic.URLs, " "))
		if e.Ironic.Reason != "" {
			line("", "%s", e.Ironic.Reason)
		}
		if n := e.Notifications; n != nil {
			showNotifications(line, n, status.Time)
		}
		if i := e.Inventory; i != nil {
			line("nodes", "%d of %s, as of %s ago: %s", i.Nodes, i.Scope, seconds(i.Age), api.Counts(i.States))
		}
		if len(e.Boots) > 0 {
			line("boots", "%s", api.Counts(e.Boots))
		}
		if len(e.Stages) > 0 {
			line("", "under way: %s", api.Counts(e.Stages))
		}
		if st := e.Store; st != nil {
			line("store", "%s of %s in %d objects, %d being filled, at %s", size(st.Used), size(st.Size), st.Objects, st.Filling, st.Directory)
			line("line", "%s came over it, %s went to nodes", size(st.Fetched), size(st.Sent))
			if st.Bad > 0 {
				line("", "%d objects were bad and are in quarantine; look at the disk", st.Bad)
			}
		}
		for i, r := range e.Refusals[:min(len(e.Refusals), refusalsShown)] {
			name := ""
			if i == 0 {
				name = "refused"
			}
			line(name, "%s ago %d %s %s to %s", api.Ago(status.Time.Sub(r.Time)), r.Status, r.Reason, r.Path, r.Client)
		}
	}
}

func showNotifications(line func(name, format string, args ...any), n *api.Notifications, now time.Time) {
	switch {
	case !n.Connected && n.Reason == "":
		line("notified", "not yet by %s", n.Broker)
	case !n.Connected:
		line("notified", "not by %s: %s", n.Broker, n.Reason)
	case n.Last == nil:
		line("notified", "by %s for %s, of nothing yet", n.Broker, api.Ago(now.Sub(*n.Since)))
	default:
		line("notified", "by %s for %s, last %s ago", n.Broker, api.Ago(now.Sub(*n.Since)), api.Ago(now.Sub(*n.Last)))
	}
}

// refusalsShown is how many refusals status shows: a machine that is refused asks again and again.
const refusalsShown = 3

func nodesCommand(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes that the edge knows",
		Long: `Lists the nodes of the site's inventory and others that asked, with what Ironic said last and how far their boot is.

With --snapshot it needs no running edge: it lists the nodes in the file in which an edge with the option site keeps what
it knows.

Exits with 1 if the edge does not answer, or the file cannot be read.`,
		Example: `  ironic-edge nodes
  ironic-edge nodes --snapshot inventory.json`,
		Args: cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			var nodes []api.Node
			if err := c.get(cmd, "nodes", nil, &nodes); err != nil || c.json {
				return 0, err
			}
			rows := make([][]string, 0, len(nodes))
			for _, n := range nodes {
				rows = append(rows, []string{n.UUID, n.Name, strings.Join(n.MACs, " "), n.State, seconds(n.Age), n.Stage, n.Advice})
			}
			screenOf(cmd.OutOrStdout()).table(6, []string{"NODE", "NAME", "MAC", "STATE", "AGE", "BOOT", "WHAT TO DO"}, rows)
			return 0, nil
		}),
	}
	c.snapshotFlag(cmd)
	return cmd
}

func silentCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "silent",
		Short: "List nodes for which Ironic waits and that have not asked",
		Long: `Lists the nodes of the site's inventory for whose agent Ironic waits, and which have asked the edge for nothing since:
machines that are off, or that boot from elsewhere.

Exits with 3 if there are any, and with 1 if the edge does not answer.`,
		Example: `  ironic-edge silent`,
		Args:    cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			var silent []boots.Silent
			if err := c.get(cmd, "silent", nil, &silent); err != nil {
				return 0, err
			}
			rows := make([][]string, 0, len(silent))
			for _, n := range silent {
				rows = append(rows, []string{n.Node, n.Name, n.State, api.Ago(time.Since(n.Since)), n.Diagnosis.Seen + " " + n.Diagnosis.Next})
			}
			if !c.json {
				screenOf(cmd.OutOrStdout()).table(4, []string{"NODE", "NAME", "STATE", "SINCE", "WHAT TO DO"}, rows)
			}
			if len(silent) > 0 {
				return exitBad, nil
			}
			return 0, nil
		}),
	}
}

func unknownCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "unknown",
		Short: "List MAC addresses that asked and that Ironic does not know",
		Long: `Lists the machines that asked for a script and of which Ironic has no port: with where from, how often, when last, and
what to do.

Exits with 1 if the edge does not answer.`,
		Example: `  ironic-edge unknown --json | jq -r '.[].mac'`,
		Args:    cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			var unknown []boots.Stray
			if err := c.get(cmd, "unknown", nil, &unknown); err != nil || c.json {
				return 0, err
			}
			rows := make([][]string, 0, len(unknown))
			for _, u := range unknown {
				rows = append(rows, []string{u.MAC, u.Client.String(), u.Firmware, strconv.Itoa(u.Count), api.Ago(time.Since(u.Last)), u.Diagnosis.Next})
			}
			screenOf(cmd.OutOrStdout()).table(5, []string{"MAC", "CLIENT", "FIRMWARE", "TIMES", "LAST", "WHAT TO DO"}, rows)
			return 0, nil
		}),
	}
}

func imagesCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "List what is in the store",
		Long: `Lists the objects of the store, the one last used first: how much of each is there, how many clients are reading it, and
the references and URLs by which it is asked for. Of a query, which may be a signature, a hash is shown.

Exits with 1 if the edge does not answer.`,
		Example: `  ironic-edge images`,
		Args:    cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			var images []api.Image
			if err := c.get(cmd, "images", nil, &images); err != nil || c.json {
				return 0, err
			}
			rows := make([][]string, 0, len(images))
			for _, i := range images {
				state := i.State
				if i.Size > 0 && i.State != "whole" {
					state = fmt.Sprintf("%s %d %%", i.State, 100*i.Stored/i.Size)
				}
				rows = append(rows, []string{i.ID, size(i.Size), state, strconv.Itoa(i.Readers), api.Ago(time.Since(i.Used)), strings.Join(i.Keys, " ")})
			}
			screenOf(cmd.OutOrStdout()).table(5, []string{"OBJECT", "SIZE", "STATE", "READERS", "USED", "KEYS"}, rows)
			return 0, nil
		}),
	}
}
