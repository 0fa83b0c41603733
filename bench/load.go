// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
)

// load is one way of asking a server as fast as it goes.
type load struct {
	name    string
	short   string // of a file
	command func(url string, seconds int) []string
	rate    *regexp.Regexp // its one group holds requests per second
	failed  *regexp.Regexp // a match is a failed run
}

const connections = 32

var loads = []load{
	{
		name:  "kept-alive connections",
		short: "kept",
		command: func(url string, seconds int) []string {
			return []string{"wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(seconds) + "s", url}
		},
		rate:   regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`),
		failed: regexp.MustCompile(`Non-2xx or 3xx responses|Socket errors`),
	},
	{
		name:  "a new connection for each request",
		short: "new",
		command: func(url string, seconds int) []string {
			return []string{"ab", "-q", "-l", "-c", strconv.Itoa(connections), "-t", strconv.Itoa(seconds), "-n", "10000000", url}
		},
		rate:   regexp.MustCompile(`Requests per second:\s+([0-9.]+)`),
		failed: regexp.MustCompile(`Non-2xx responses|Failed requests:\s+[1-9]`),
	},
}

// run returns requests per second.
func (l load) run(ctx context.Context, url string, seconds int) (float64, error) {
	command := l.command(url, seconds)
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%v: %w: %s", command, err, out)
	}
	m := l.rate.FindSubmatch(out)
	if m == nil || l.failed.Match(out) {
		return 0, fmt.Errorf("%v: not a clean run: %s", command, out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
