// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

func prefetchCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "prefetch <reference>...",
		Short: "Have images in the store before a node asks",
		Long: `Fetches images into the store: image references as Ironic has them (a URL, a Glance id, oci://…), or a path below a
mirror. It ends when they are there, whole and checked; if it is stopped, the edge goes on.`,
		Args: cobra.MinimumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			out := screenOf(cmd.OutOrStdout())
			for _, image := range args {
				last, err := c.follow(cmd, "prefetch", map[string]string{"image": image}, func(p api.Progress) { out.bar(p.Done, p.Of, p.Unit) })
				if err != nil {
					return 0, fmt.Errorf("%s: %w", plain(image), err)
				}
				if !c.json {
					fmt.Fprintf(out, "%s: %s in the store\n", plain(image), size(last.Done))
				}
			}
			return 0, nil
		}),
	}
}

func purgeCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "purge <object>...",
		Short: "Take images out of the store",
		Long: `Takes objects out of the store, by their id, or by a reference or URL, as "ironic-edge images" lists them. Clients in the
middle of one get the rest of it; who asks next causes it to be fetched anew.`,
		Args: cobra.MinimumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			for _, image := range args {
				response, err := c.ask(cmd, http.MethodPost, "purge", nil, map[string]string{"image": image})
				if err != nil {
					return 0, fmt.Errorf("%s: %w", plain(image), err)
				}
				response.Body.Close()
			}
			return 0, nil
		}),
	}
}

func scrubCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "scrub",
		Short: "Compare every block of the store with its checksum",
		Long: `Reads everything that is in the store and compares it with the checksums that were made when it came. What is bad is
taken out and kept in quarantine; who asks next gets it anew from its origin. Exits with 3 if anything was bad.`,
		Args: cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			out := screenOf(cmd.OutOrStdout())
			last, err := c.follow(cmd, "scrub", nil, func(p api.Progress) { out.bar(p.Done, p.Of, p.Unit) })
			if err != nil {
				return 0, err
			}
			if !c.json {
				fmt.Fprintf(out, "%d objects, %d of them bad\n", last.Done, last.Bad)
			}
			if last.Bad > 0 {
				return exitBad, nil
			}
			return 0, nil
		}),
	}
}

func refreshCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh <node>...",
		Short: "Ask Ironic anew about nodes",
		Long:  `Makes stale what the edge knows of nodes, by UUID, name or MAC address: the next boot asks Ironic.`,
		Args:  cobra.MinimumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			for _, node := range args {
				response, err := c.ask(cmd, http.MethodPost, "refresh", nil, map[string]string{"node": node})
				if err != nil {
					return 0, fmt.Errorf("%s: %w", plain(node), err)
				}
				response.Body.Close()
			}
			return 0, nil
		}),
	}
}
