// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

func prefetchCommand(c *caller) *cobra.Command {
	return &cobra.Command{
		Use:   "prefetch <reference>...",
		Short: "Have images in the store before a node asks",
		Long: `Fetches images into the store: image references as Ironic has them (a URL, a Glance id, oci://…), or a path below a
mirror. It ends when they are there, whole and checked; if it is stopped, the edge goes on with what has begun to come. On a
terminal it shows how far it is, with --json a line for each step.

Exits with 1 at the first image that cannot be fetched, or of which there is no room.`,
		Example: `  ironic-edge prefetch http://images.example/ipa.kernel http://images.example/ipa.initramfs
  ironic-edge prefetch /agent_images/ipa.kernel`,
		Args: cobra.MinimumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			for _, image := range args {
				last, err := c.follow(cmd, "prefetch", map[string]string{"image": image})
				if err != nil {
					return 0, fmt.Errorf("%s: %w", plain(image), err)
				}
				if !c.json {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s in the store\n", plain(image), size(last.Done))
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
middle of one get the rest of it; who asks next causes it to be fetched anew. It prints nothing when it has done so.

Exits with 1 if the store has no such object.`,
		Example: `  ironic-edge purge http://images.example/ipa.kernel`,
		Args:    cobra.MinimumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			for _, image := range args {
				if err := c.act(cmd, "purge", map[string]string{"image": image}); err != nil {
					return 0, fmt.Errorf("%s: %w", plain(image), err)
				}
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
taken out and kept in quarantine; who asks next gets it anew from its origin. On a terminal it shows how far it is, with
--json a line for each object. It takes as long as the disk needs to read the store.

Exits with 3 if anything was bad, and with 1 if it could not look at everything.`,
		Example: `  ironic-edge scrub || mail -s "the store of $(hostname) was bad" root`,
		Args:    cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (int, error) {
			last, err := c.follow(cmd, "scrub", nil)
			if err != nil {
				return 0, err
			}
			if !c.json {
				fmt.Fprintf(cmd.OutOrStdout(), "%d objects, %d of them bad\n", last.Done, last.Bad)
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
		Long: `Makes stale what the edge knows of nodes, by UUID, name or MAC address: the next boot asks Ironic. It is for those who
do not want to wait until the edge sees by itself what they have changed. It prints nothing when it has done so.

Exits with 1 if no node is called that, or Ironic cannot be asked about it.`,
		Example: `  ironic-edge refresh r17-u01`,
		Args:    cobra.MinimumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) (int, error) {
			for _, node := range args {
				if err := c.act(cmd, "refresh", map[string]string{"node": node}); err != nil {
					return 0, fmt.Errorf("%s: %w", plain(node), err)
				}
			}
			return 0, nil
		}),
	}
}
