// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/time/rate"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// storm has many machines ask a cold edge for their scripts at about the same time, before an Ironic that answers a limited
// number of requests in a second. The machines do as iPXE does: they wait as long as Retry-After says, and ask again on the
// same connection. Each has an address of its own.
func storm(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	nodes := flags.Int("nodes", 10_000, "how many machines are switched on before an edge with the option site")
	alone := flags.Int("alone", 2_000, "and how many before one without; 0: none")
	window := flags.Duration("window", 10*time.Second, "within which time they are")
	limit := flags.Int("rate", 100, "how many requests Ironic answers in a second")
	var options lines
	flags.Var(&options, "option", "a line for the edge's configuration, such as 'client_rate 5'; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	const most = 60_000
	if *nodes < 0 || *nodes > most || *alone < 0 || *alone > most || *limit < 1 {
		return fmt.Errorf("-nodes and -alone are from 0 to %d, and -rate at least 1", most)
	}
	dir, err := os.MkdirTemp("", "ironic-edge-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "ironic-edge")
	if err := build(ctx, binary); err != nil {
		return err
	}
	for _, run := range []stormRun{
		{"with site { all }", *nodes, append(slices.Clone(options), "site {\nall\nsnapshot off\n}")},
		{"without site", *alone, options},
	} {
		if run.nodes == 0 {
			continue
		}
		if err := run.storm(ctx, dir, binary, *window, *limit); err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
		}
	}
	return nil
}

// stormRun is a storm before an edge with some options.
type stormRun struct {
	name    string
	nodes   int
	options []string
}

func (run stormRun) storm(ctx context.Context, dir, binary string, window time.Duration, limit int) error {
	slow := newLimitedIronic(run.nodes, limit)
	api := httptest.NewServer(slow)
	defer api.Close()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, fmt.Appendf(nil, stormCaddyfile, address, api.URL, strings.Join(run.options, "\n\t\t")), 0o600); err != nil {
		return err
	}
	edge, err := start(ctx, syscall.SIGTERM, binary, "run", "--adapter", "caddyfile", "--config", config)
	if err != nil {
		return err
	}
	defer edge.stop()
	if err := answers(ctx, "http://"+address+"/boot.ipxe"); err != nil {
		return fmt.Errorf("%w: %s", err, edge.out.String())
	}
	idle, err := memory(edge.cmd.Process.Pid)
	if err != nil {
		return err
	}

	machines := make([]machine, run.nodes)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range machines {
		group.Go(func() { machines[i].boot(ctx, address, i, window*time.Duration(i)/time.Duration(run.nodes)) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	peak, err := memory(edge.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Println(run.name)
	return report(machines, slow.calls.Load(), limit, window, begin, idle, peak)
}

// lines are an option that may be repeated.
type lines []string

func (l *lines) String() string { return strings.Join(*l, "\n") }

// Set adds a line.
func (l *lines) Set(line string) error {
	*l = append(*l, line)
	return nil
}

const stormCaddyfile = `{
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
http://%[1]s {
	ironic_edge {
		ironic %[2]s
		public_url http://%[1]s
		%[3]s
	}
}
`

// limitedIronic answers so many requests in a second. Who comes too early waits. The stand-in looks at each of its nodes for
// each request, which would be what limits it: so a node has one of its own, and lists come from one that has all.
type limitedIronic struct {
	all     *ironictest.Server
	one     map[string]*ironictest.Server // by UUID and by address
	limiter *rate.Limiter
	calls   atomic.Int64
}

func newLimitedIronic(nodes, limit int) *limitedIronic {
	l := &limitedIronic{all: ironictest.New(), one: make(map[string]*ironictest.Server), limiter: rate.NewLimiter(rate.Limit(limit), limit/10+1)}
	for i, n := range stormFleet(nodes) {
		l.all.SetNode(n)
		own := ironictest.New(n)
		l.one[stormUUID(i)], l.one[stormMAC(i, ":")] = own, own
	}
	return l
}

func (l *limitedIronic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.calls.Add(1)
	if l.limiter.Wait(r.Context()) != nil {
		return
	}
	name := r.URL.Query().Get("address")
	if name == "" {
		name = path.Base(r.URL.Path)
	}
	if own := l.one[name]; own != nil {
		own.ServeHTTP(w, r)
		return
	}
	l.all.ServeHTTP(w, r)
}

func stormFleet(n int) []ironictest.Node {
	nodes := make([]ironictest.Node, n)
	for i := range nodes {
		nodes[i] = ironictest.Node{UUID: stormUUID(i), Name: fmt.Sprint("n", i), ProvisionState: "wait call-back", DeployStep: "deploy",
			DriverInfo: map[string]any{"deploy_kernel": "http://images.test/k", "deploy_ramdisk": "http://images.test/r"},
			Ports:      []ironictest.Port{{Address: stormMAC(i, ":")}}}
	}
	return nodes
}

func stormUUID(i int) string { return fmt.Sprintf("6d4c7e01-5700-4000-8000-%012d", i+1) }

func stormMAC(i int, between string) string {
	return strings.Join([]string{"52", "54", "00", fmt.Sprintf("%02x", i>>16), fmt.Sprintf("%02x", i>>8&255), fmt.Sprintf("%02x", i&255)}, between)
}

// machine is one that boots.
type machine struct {
	err     error
	first   string        // what it was told at first: a status, and why
	longest time.Duration // that it waited for an answer
	asked   int
	done    time.Time
}

// boot asks for the script until it is there.
func (m *machine) boot(ctx context.Context, edge string, i int, at time.Duration) {
	if m.err = pause(ctx, at); m.err != nil {
		return
	}
	own := &net.TCPAddr{IP: net.IPv4(127, 1+byte(i>>16), byte(i>>8), byte(i))}
	transport := &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second, DisableCompression: true, // iPXE's
		DialContext: (&net.Dialer{LocalAddr: own}).DialContext}
	defer transport.CloseIdleConnections()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+edge+"/pxelinux.cfg/"+stormMAC(i, "-"), nil)
		if err != nil {
			m.err = err
			return
		}
		request.Header.Set("User-Agent", "iPXE/1.21.1 (simulated)")
		begin := time.Now()
		response, err := transport.RoundTrip(request)
		if err != nil {
			m.err = err
			return
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		m.longest = max(m.longest, time.Since(begin))
		if m.asked++; m.asked == 1 {
			m.first = strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", response.Header.Get("X-Ironic-Edge-Reason")))
		}
		switch seconds, bad := strconv.Atoi(response.Header.Get("Retry-After")); {
		case err != nil:
			m.err = err
		case response.StatusCode == http.StatusOK && strings.Contains(string(body), stormUUID(i)+"/deploy_kernel"):
			m.done = time.Now()
		case response.StatusCode != http.StatusServiceUnavailable || bad != nil || seconds < 1:
			m.err = fmt.Errorf("%s, Retry-After %q: %s", m.first, response.Header.Get("Retry-After"), body)
		default:
			if m.err = pause(ctx, time.Duration(seconds)*time.Second); m.err == nil {
				continue
			}
		}
		return
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// memory is the most resident memory that a process had, in bytes.
func memory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) < 2 || fields[1] != "kB" {
		return 0, errors.New("the kernel does not say how much memory a process had")
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	return n << 10, err
}

// report prints the table. It is an error if a machine got anything but its script or when to come back.
func report(machines []machine, calls int64, limit int, window time.Duration, begin time.Time, idle, peak int64) error {
	first := make(map[string]int)
	var times []time.Duration
	var longest time.Duration
	var errs []error
	asked := 0
	for _, m := range machines {
		if m.err != nil {
			errs = append(errs, m.err)
			continue
		}
		first[m.first]++
		times = append(times, m.done.Sub(begin))
		longest = max(longest, m.longest)
		asked += m.asked
	}
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d machines failed, the first of them: %w", len(errs), len(machines), errs[0])
	}
	slices.Sort(times)
	two := int64(2 * len(machines))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(table, "%s\t%s\t\n", name, fmt.Sprintf(format, values...))
	}
	row("machines", "%d within %v, Ironic answers %d/s", len(machines), window, limit)
	for _, what := range slices.Sorted(maps.Keys(first)) {
		row("told at first: "+what, "%d", first[what])
	}
	row("requests to the edge", "%d (%.1f for each machine)", asked, float64(asked)/float64(len(machines)))
	row("longest wait for an answer", "%v", longest.Round(time.Millisecond))
	row("half of them have their script", "after %.1f s", times[len(times)/2].Seconds())
	row("all of them have their script", "after %.1f s", times[len(times)-1].Seconds())
	row("two calls for each would take", "%.1f s", float64(two)/float64(limit))
	row("calls to Ironic", "%d (two for each would be %d)", calls, two)
	row("the edge's resident memory, at most", "%.0f MiB (%.0f MiB before the storm)", float64(peak)/(1<<20), float64(idle)/(1<<20))
	return table.Flush()
}
