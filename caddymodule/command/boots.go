// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

func bootsCommand(c *caller) *cobra.Command {
	watch, untilOver, all := false, false, false
	cmd := &cobra.Command{
		Use:   "boots",
		Short: "List the last boots, and why they go no further",
		Long: `Lists the last boot of each node: how far it is, since when, and what to do if it goes no further. With --all it lists
older boots, too; with --watch it goes on until it is stopped, and with --until-over, which includes that, until no boot
goes on any more: each is over or stuck.

Exits with 3 if a boot is stuck (with --watch alone it does not end for that), and with 1 if the edge does not answer.`,
		Example: `  ironic-edge boots --watch
  ironic-edge boots --until-over && echo "the rack is up"`,
		Args: cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			if watch || untilOver {
				return c.watch(cmd, all, untilOver)
			}
			code, _, err := c.listBoots(cmd, all)
			return code, err
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on as things change")
	cmd.Flags().BoolVar(&untilOver, "until-over", false, "go on as things change, until no boot goes on any more")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list older boots of the same nodes, too")
	return cmd
}

// listBoots returns the exit code, and whether no boot goes on any more.
func (c *caller) listBoots(cmd *cobra.Command, all bool) (code int, over bool, err error) {
	var listed []boots.Boot
	if err := c.get(cmd, "boots", nil, &listed); err != nil {
		return 0, false, err
	}
	seen := make(map[string]bool)
	over = true
	var rows [][]string
	for i := range listed {
		b := &listed[i]
		if seen[b.Node] && !all {
			continue
		}
		seen[b.Node] = true
		switch {
		case b.Over():
		case b.Outcome == boots.Stuck:
			code = exitBad
		default:
			over = false
		}
		rows = append(rows, bootRow(b, time.Now()))
	}
	if !c.json {
		screenOf(cmd.OutOrStdout()).table(6, []string{"NODE", "MAC", "STATE", "STAGE", "OUTCOME", "AGE", "WHAT TO DO"}, rows)
	}
	return code, over, nil
}

func bootRow(b *boots.Boot, now time.Time) []string {
	name, mac, stage, advice := b.Name, "", string(b.Stage), ""
	if name == "" {
		name = b.Node
	}
	if len(b.MACs) > 0 {
		mac = b.MACs[0]
	}
	if n := len(b.Images); n > 0 && !b.Over() && !b.Images[n-1].Done {
		stage = fmt.Sprintf("%s %d %%", stage, b.Images[n-1].Percent)
	}
	if len(b.Diagnoses) > 0 {
		advice = b.Diagnoses[0].Seen + " " + b.Diagnoses[0].Next
	}
	return []string{name, mac, b.State, stage, string(b.Outcome), api.Ago(now.Sub(b.Started)), advice}
}

// watch lists the boots again each time when something has changed.
func (c *caller) watch(cmd *cobra.Command, all, untilOver bool) (int, error) {
	response, err := c.ask(cmd, http.MethodGet, "boots/stream", nil, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "data:") {
			continue
		}
		if s := screenOf(cmd.OutOrStdout()); s.width > 0 {
			fmt.Fprint(s, "\x1b[H\x1b[2J") // the screen's beginning, and nothing on it (ECMA-48)
		}
		if code, over, err := c.listBoots(cmd, all); err != nil || over && untilOver {
			return code, err
		}
	}
	if contextOf(cmd).Err() != nil {
		return 0, nil // the user has enough
	}
	return 0, errors.New("the edge has stopped")
}

func bootCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "boot <node>",
		Short: "Show the timeline of a node's last boot",
		Long: `Shows what was seen of the last boot of a node, by UUID, name or MAC address, or of the boot with a request id: each
step, the images with their progress, and what to do if it goes no further.

Exits with 3 if it is stuck, and with 1 if no boot of the node was seen.`,
		Example: `  ironic-edge boot r17-u01
  ironic-edge boot 52:54:00:17:00:01`,
		Args: cobra.ExactArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			var listed []boots.Boot
			if err := c.get(cmd, "boots", url.Values{"node": args}, &listed); err != nil {
				return 0, err
			}
			b := &listed[0]
			if !c.json {
				showBoot(screenOf(cmd.OutOrStdout()), b)
			}
			if b.Outcome == boots.Stuck {
				return exitBad, nil
			}
			return 0, nil
		}),
	}
}

func showBoot(s *screen, b *boots.Boot) {
	line := func(name string, values ...string) {
		if text := strings.Join(values, " "); text != "" {
			fmt.Fprintf(s, "%-10s %s\n", name, plain(text))
		}
	}
	line("node", strings.TrimSpace(b.Name+" "+b.Node))
	line("mac", b.MACs...)
	line("firmware", b.Firmware)
	line("state", b.State)
	line("script", b.Kind, b.Reason)
	line("outcome", string(b.Outcome)+", at "+string(b.Stage))
	for _, d := range b.Diagnoses {
		line(string(d.Severity), d.Seen)
		line("", d.Next)
	}
	if len(b.Images) > 0 {
		rows := make([][]string, 0, len(b.Images))
		for _, i := range b.Images {
			rows = append(rows, []string{i.Label, fmt.Sprintf("%d %%", i.Percent), size(i.Size), size(i.Rate) + "/s", fmt.Sprint(i.Attempts), fmt.Sprint(i.Stalls)})
		}
		fmt.Fprintln(s)
		s.table(0, []string{"IMAGE", "THERE", "SIZE", "RATE", "ATTEMPTS", "STALLS"}, rows)
	}
	rows := make([][]string, 0, len(b.Events))
	for _, e := range b.Events {
		what := strings.ReplaceAll(string(e.Kind), "_", " ")
		if e.Count > 1 {
			what = fmt.Sprintf("%s (%d times)", what, e.Count)
		}
		answer := e.Code
		if e.Status > 0 {
			answer = strings.TrimSpace(fmt.Sprint(e.Status, " ", e.Code))
		}
		rows = append(rows, []string{e.At.UTC().Format("15:04:05"), what, e.Text, answer})
	}
	fmt.Fprintln(s)
	s.table(2, []string{"TIME", "WHAT", "OF", "ANSWER"}, rows)
}
