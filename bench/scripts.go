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
	seconds := flags.Int("seconds", 3, "how long one measurement takes")
	profiles := flags.String("profiles", "", "`directory` for processor profiles of ironic-edge")
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
	edge, err := startEdge(ctx, dir, stand.URL)
	if err != nil {
		return err
	}
	defer edge.stop()
	target := edge.url + "/pxelinux.cfg/52-54-00-17-00-02"
	if err := download(ctx, target, filepath.Join(dir, "script")); err != nil {
		return err
	}
	nginx, lean, nginxPID, stopNginx, err := startNginx(ctx, dir)
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
	fmt.Fprintf(table, "%d connections, %d rounds of %d s\trequests/s\tof nginx's\tof lean nginx's\tof respond's\tCPU us per request\tof respond's\t\n", connections, *rounds, *seconds)
	servers := []struct {
		name, url, admin string
		pid              int
	}{
		{"ironic-edge", target, edge.admin, edge.pid},
		{"nginx as Debian has it, the script in a file", nginx + "/script", "", nginxPID},
		{"nginx as lean as it can be", lean + "/script", "", nginxPID},
		{"Caddy's respond, a word", edge.least + "/", "", edge.pid},
	}
	for _, l := range loads {
		all := make([]figures, len(servers))
		for range *rounds {
			for i, s := range servers {
				before, err := cpu(s.pid)
				if err != nil {
					return err
				}
				var rate float64
				err = profile(ctx, *profiles, s.admin, l.short, *seconds, func() (err error) {
					rate, err = l.run(ctx, s.url, *seconds)
					return err
				})
				if err != nil {
					return err
				}
				after, err := cpu(s.pid)
				if err != nil {
					return err
				}
				all[i].rate = append(all[i].rate, rate)
				all[i].cost = append(all[i].cost, (after-before)/(rate*float64(*seconds)))
			}
		}
		fmt.Fprintf(table, "%s\t\t\t\t\t\t\t\n", l.name)
		peer, lean, least := all[1], all[2], all[3]
		for i, s := range servers {
			rate, cost := median(all[i].rate), median(all[i].cost)
			fmt.Fprintf(table, "  %s\t%.0f\t%.2f x\t%.2f x\t%.2f x\t%.1f\t%.2f x\t\n", s.name, rate, rate/median(peer.rate), rate/median(lean.rate), rate/median(least.rate), cost*1e6, cost/median(least.cost))
		}
		if api != "" && l.name == loads[0].name {
			rate, err := l.run(ctx, api, *seconds)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "  Ironic's API, reads of a node\t%.0f\t\t\t\t\t\t\n", rate)
		}
	}
	return table.Flush()
}

// edgeServer is the binary with a boot site and, as a second peer, one that answers with a word: less this server cannot do.
type edgeServer struct {
	url, least, admin string
	pid               int
	stop              func()
}

// startEdge builds and runs the binary.
func startEdge(ctx context.Context, dir, ironic string) (*edgeServer, error) {
	binary := filepath.Join(dir, "ironic-edge")
	if err := build(ctx, binary); err != nil {
		return nil, err
	}
	var addresses [3]string
	for i := range addresses {
		var err error
		if addresses[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	e := &edgeServer{url: "http://" + addresses[0], least: "http://" + addresses[1], admin: "http://" + addresses[2]}
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf(caddyfile, e.url, ironic, e.least, addresses[2])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run", "--adapter", "caddyfile", "--config", config)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e.pid = cmd.Process.Pid
	e.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	if err := answers(ctx, e.url+"/boot.ipxe"); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

const caddyfile = `{
	admin %[4]s
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
