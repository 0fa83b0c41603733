// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

func doctorCommand(c *caller) *cobra.Command {
	dhcp := ""
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what could keep nodes from booting",
		Long: `Looks at what surrounds the edge: Ironic, the credentials and what they may do, the API's version, the clocks, the
origins of images, the public URL, HTTPS on the boot site, the room on the disk. With --dhcp it also asks the DHCP servers
on an interface of this machine what they would tell iPXE and UEFI firmware; that needs root, and takes no lease.

Exits with 3 if something is bad (a warning is not), and with 1 if the edge does not answer.`,
		Example: `  ironic-edge doctor
  sudo ironic-edge doctor --dhcp eth1`,
		Args: cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			var checks []api.Check
			if _, err := c.fetch(cmd, "doctor", nil, &checks); err != nil {
				return 0, err
			}
			if dhcp != "" {
				var status api.Status
				if _, err := c.fetch(cmd, "status", nil, &status); err != nil {
					return 0, err
				}
				checks = append(checks, offers(contextOf(cmd), dhcp, publicURLs(&status))...)
			}
			code := 0
			for _, check := range checks {
				if check.Result == "bad" {
					code = exitBad
				}
			}
			if c.json {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return code, out.Encode(checks)
			}
			showChecks(screenOf(cmd.OutOrStdout()), checks)
			return code, nil
		}),
	}
	cmd.Flags().StringVar(&dhcp, "dhcp", "", "the `interface` on which to ask DHCP servers")
	return cmd
}

func showChecks(s *screen, checks []api.Check) {
	several := slices.ContainsFunc(checks, func(c api.Check) bool { return c.Edge != "" && c.Edge != checks[0].Edge })
	rows := make([][]string, 0, len(checks))
	for i := range checks {
		if c := &checks[i]; several && c.Edge != "" {
			c.Name += " of " + c.Edge
		}
		rows = append(rows, []string{checks[i].Result, checks[i].Name, checks[i].Seen})
	}
	s.table(2, []string{"RESULT", "CHECK", "SEEN"}, rows)
	for _, check := range checks {
		if check.Next != "" {
			fmt.Fprintf(s, "\n%s: %s\n", plain(check.Name), plain(check.Next))
		}
	}
}

// publicURLs are those of the edges that have one.
func publicURLs(status *api.Status) []string {
	var urls []string
	for _, e := range status.Edges {
		if strings.HasPrefix(e.Name, "http") {
			urls = append(urls, strings.TrimRight(e.Name, "/"))
		}
	}
	return urls
}
