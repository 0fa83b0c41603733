// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// scripts measures warm boot scripts beside nginx with the same bytes in a file. Rounds alternate, so that what else the
// machine does hits both.
func scripts(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("scripts", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often each server is measured; the table has medians")
	seconds := flags.Int("seconds", 5, "how long one measurement takes")
	real := flags.Bool("ironic", false, "run the Ironic that integration/install has installed, too, and compare with reads of a node of its")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := need("nginx", "wrk", "ab"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ironic-edge-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stand := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer stand.Close()
	edge, least, stopEdge, err := startEdge(ctx, dir, stand.URL)
	if err != nil {
		return err
	}
	defer stopEdge()
	target := edge + "/pxelinux.cfg/52-54-00-17-00-02"
	if err := download(ctx, target, filepath.Join(dir, "script")); err != nil {
		return err
	}
	nginx, stopNginx, err := startNginx(ctx, dir)
	if err != nil {
		return err
	}
	defer stopNginx()

	api := ""
	if *real {
		url, stop, err := startIronic(ctx, dir)
		if err != nil {
			return err
		}
		defer func() { _ = stop() }()
		api = url
	}

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%d connections, %d rounds of %d s\tironic-edge\tnginx\tratio\tCaddy's respond\t\n", connections, *rounds, *seconds)
	urls := []string{target, nginx + "/script", least + "/"}
	for _, l := range loads {
		rates := make([][]float64, len(urls))
		for range *rounds {
			for i, url := range urls {
				rate, err := l.run(ctx, url, *seconds)
				if err != nil {
					return err
				}
				rates[i] = append(rates[i], rate)
			}
		}
		ours, theirs := median(rates[0]), median(rates[1])
		fmt.Fprintf(table, "%s\t%.0f/s\t%.0f/s\t%.2f\t%.0f/s\t\n", l.name, ours, theirs, ours/theirs, median(rates[2]))
		if api != "" && l.name == loads[0].name {
			rate, err := l.run(ctx, api, *seconds)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "  and ironic-api's node reads\t\t%.0f/s\t%.0f\t\t\n", rate, ours/rate)
		}
	}
	return table.Flush()
}

// startEdge builds and runs the binary with a boot site and, as a second peer, one that answers with a word: less this
// server cannot do. It returns the URLs of both.
func startEdge(ctx context.Context, dir, ironic string) (edge, least string, stop func(), err error) {
	binary := filepath.Join(dir, "ironic-edge")
	if err := build(ctx, binary); err != nil {
		return "", "", nil, err
	}
	var addresses [2]string
	for i := range addresses {
		if addresses[i], err = freeAddress(); err != nil {
			return "", "", nil, err
		}
	}
	edge, least = "http://"+addresses[0], "http://"+addresses[1]
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf(caddyfile, edge, ironic, least)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", "", nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run", "--adapter", "caddyfile", "--config", config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	if err := answers(ctx, edge+"/boot.ipxe"); err != nil {
		stop()
		return "", "", nil, err
	}
	return edge, least, stop, nil
}

const caddyfile = `{
	admin off
	persist_config off
	log {
		level ERROR
	}
	servers {
		listener_wrappers {
			ironic_edge
		}
	}
}
%[1]s {
	ironic_edge {
		ironic %[2]s
		public_url %[1]s
	}
}
%[3]s {
	respond OK
}
`

func download(ctx context.Context, url, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d, %v", url, response.StatusCode, err)
	}
	return os.WriteFile(file, body, 0o644)
}
