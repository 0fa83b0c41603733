// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// images measures caches of images beside each other.
func images(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	rounds := flags.Int("rounds", 3, "how often each server is measured warm; the table has medians")
	seconds := flags.Int("seconds", 2, "how long small ranges are read")
	profiles := flags.String("profiles", "", "`directory` for processor profiles of ironic-edge while it serves warm")
	only := flags.String("only", "", "`table` to print: storm, cut, warm or ranges; all by default")
	alone := flags.Bool("alone", false, "measure ironic-edge alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := need("nginx", "varnishd"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ironic-edge-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &imageBench{rounds: *rounds, seconds: *seconds, profiles: *profiles, alone: *alone, out: os.Stdout}
	defer b.stop()
	if err := b.start(ctx, dir); err != nil {
		return err
	}
	for _, table := range []struct {
		name  string
		print func(context.Context) error
	}{{"storm", b.storm}, {"cut", b.cut}, {"warm", b.warm}, {"ranges", b.ranges}} {
		if *only != "" && *only != table.name {
			continue
		}
		if err := table.print(ctx); err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
		}
		fmt.Fprintln(b.out)
	}
	return nil
}

// imageBench is a run. The servers stay for all of it; each table has files of its own.
type imageBench struct {
	rounds, seconds int
	profiles        string
	alone           bool
	out             io.Writer

	one, nodes, peers, fleet, broken, large, iso *file
	servers                                      []*cacheServer // ironic-edge is the last
	ending                                       []func()
}

func (b *imageBench) start(ctx context.Context, dir string) error {
	const size = 64 << 20
	b.one, b.nodes, b.fleet = newFile(1, "one", size), newFile(2, "nodes", size), newFile(3, "fleet", size)
	b.broken, b.large, b.iso = newFile(4, "broken", size), newFile(5, "large", 2*size), newFile(6, "iso", size)
	b.broken.cutAt = size * 9 / 10
	b.peers = newFile(8, "peers", size/8)
	files := []*file{b.one, b.nodes, b.peers, b.fleet, b.broken, b.large, b.iso, newFile(7, smallFile, 100)}
	binary := filepath.Join(dir, "ironic-edge")
	if err := build(ctx, binary); err != nil {
		return err
	}
	for i := range 4 {
		if b.alone && i < 3 {
			continue
		}
		o, err := startOrigin(files)
		if err != nil {
			return err
		}
		b.ending = append(b.ending, o.stop)
		home := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(home, 0o755); err != nil {
			return err
		}
		var s *cacheServer
		switch i {
		case 0, 1:
			s, err = startNginxCache(ctx, home, o, i == 0)
		case 2:
			s, err = startVarnish(ctx, home, o)
		case 3:
			var stopIronic func()
			s, stopIronic, err = startEdgeCache(ctx, home, binary, o, b.fleet)
			if err == nil {
				b.ending = append(b.ending, stopIronic)
			}
		}
		if err != nil {
			return err
		}
		b.servers = append(b.servers, s)
		b.ending = append(b.ending, s.stop)
	}
	return nil
}

func (b *imageBench) stop() {
	for _, end := range slices.Backward(b.ending) {
		end()
	}
}

func build(ctx context.Context, binary string) error {
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/xcaddy-build").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}

func (b *imageBench) table(title string, columns ...string) (row func(cells ...string), flush func() error) {
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	row = func(cells ...string) {
		for _, c := range cells {
			fmt.Fprint(w, c, "\t")
		}
		fmt.Fprintln(w)
	}
	row(append([]string{title}, columns...)...)
	return row, w.Flush
}

func times(a, b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f x", a/b)
}

// stormed is a cold storm's cells: the time of the last client, and the bytes from the origin.
func (b *imageBench) stormed(ctx context.Context, s *cacheServer, urls []string, f *file) ([]string, error) {
	var last time.Duration
	n, err := s.origin.count(ctx, func() error {
		return profile(ctx, b.profiles, s.admin, f.name, b.seconds, func() (err error) {
			last, err = together(ctx, urls, f, 1)
			return err
		})
	})
	return []string{times(last.Seconds(), f.ideal().Seconds()), times(float64(n), float64(len(f.bytes)))}, err
}

func (b *imageBench) storm(ctx context.Context) error {
	row, flush := b.table(fmt.Sprintf("cold, %d clients, %d MiB, ideal %.2f s", nodeCount, len(b.one.bytes)>>20, b.one.ideal().Seconds()),
		"one URL: last client", "from origin", fmt.Sprintf("one URL per node (peers: %d MiB): last client", len(b.peers.bytes)>>20), "from origin")
	cells := make([][]string, len(b.servers))
	for i, s := range b.servers {
		var err error
		if cells[i], err = b.stormed(ctx, s, slices.Repeat([]string{s.base + b.one.name}, nodeCount), b.one); err != nil {
			return err
		}
	}
	// What fetches one content once per node takes as often as long for it, which a smaller file shows as well.
	measure := func(i int, f *file) error {
		more, err := b.stormed(ctx, b.servers[i], b.servers[i].perNode(f), f)
		cells[i] = append(cells[i], more...)
		return err
	}
	edge := len(b.servers) - 1
	for i := range edge {
		if err := measure(i, b.peers); err != nil {
			return err
		}
	}
	if err := measure(edge, b.nodes); err != nil {
		return err
	}
	for i, s := range b.servers {
		row(append([]string{s.name}, cells[i]...)...)
	}
	fleet, err := b.stormed(ctx, b.servers[edge], b.servers[edge].nodes, b.fleet)
	if err != nil {
		return err
	}
	row(append([]string{"  as images of nodes", "", ""}, fleet...)...)
	return flush()
}

// maxAttempts is how often a client begins anew.
const maxAttempts = 5

func (b *imageBench) cut(ctx context.Context) error {
	row, flush := b.table("the origin's connection cut at 90 % of a cold 64 MiB file", "the client's transfer", "from origin until whole")
	for _, s := range b.servers {
		completes := "completes"
		n, err := s.origin.count(ctx, func() (err error) {
			for range maxAttempts {
				client, closeIdle := newClient()
				err = fetch(ctx, client, s.base+b.broken.name, b.broken, make([]byte, 256<<10))
				closeIdle()
				if !errors.Is(err, errShort) {
					return err
				}
				completes = "ends short"
			}
			return err
		})
		if err != nil {
			return err
		}
		row(s.name, completes, times(float64(n), float64(len(b.broken.bytes))))
	}
	return flush()
}
