// SPDX-License-Identifier: Apache-2.0

//go:build integration

package outage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// kind is a kind of state that a node can be in.
type kind struct {
	node   string // the case; empty: a machine that is no node
	status int    // of the answer when all is well
	reason string
	end    string // of the script's trace: a beginning
	usable bool   // an old answer may stand in for a fresh one
}

var kinds = []kind{
	{node: "active-adopted-direct", status: 200, end: "sanboot ", usable: true},
	{node: "wait-call-back-direct", status: 200, end: "boot ", usable: true},
	{node: "clean-wait", status: 200, end: "boot ", usable: true},
	{node: "available", status: 404, reason: "state", usable: true},
	{node: "active-adopted-ramdisk", status: 200, end: "boot "},
	{node: "active-adopted-iscsi", status: 200, end: "sanboot "},
	{node: "wait-call-back-anaconda", status: 200, end: "boot "},
	{status: 404, reason: "no_node"},
}

func (k kind) String() string {
	if k.node == "" {
		return "unknown MAC"
	}
	return k.node
}

const strangeMAC = "52:54:00:99:99:99"

// troubled is what becomes of Ironic.
type troubled struct {
	name string
	set  func(*Line) error
	// reasons are what may be said of nodes of which nothing is usable, before Ironic is taken for down and after.
	reasons []string
	kill    bool // the edge is killed meanwhile
	up      bool // Ironic answers, if with nonsense, and is not taken for down
}

var allTroubles = []troubled{
	{name: "slow", set: suffer(Slow(10 * time.Second)), reasons: []string{"ironic_slow", "ironic_unavailable"}},
	{name: "500", set: suffer(Answer(500, "text/plain", "oops")), reasons: []string{"ironic_unavailable"}},
	{name: "401", set: suffer(Answer(401, "application/json", `{"error": "no"}`)), reasons: []string{"ironic_unavailable"}},
	{name: "garbage", set: suffer(Answer(200, "text/html", "<html>Welcome</html>")), reasons: []string{"ironic_answer"}, up: true},
	{name: "cut", set: cut, reasons: []string{"ironic_unavailable"}},
	{name: "black hole", set: suffer(BlackHole), reasons: []string{"ironic_slow", "ironic_unavailable"}},
	{name: "cut and killed", set: cut, reasons: []string{"ironic_unavailable"}, kill: true},
}

func suffer(t Trouble) func(*Line) error { return func(l *Line) error { return l.Suffer(t) } }

func cut(l *Line) error {
	l.Cut()
	return nil
}

// machines are one of each kind, that ask an edge.
type machines struct {
	edge *edge.Edge
	line *Line
	macs map[kind]string
	well map[kind]string // what each did last when all was well
}

// troubles has each kind of node ask in each kind of trouble, and when it is over.
func troubles(t *testing.T, w *world) {
	e, line, snapshot := w.start(t, "node_ttl 1s", "negative_ttl 1s", "client_rate 100000", "loop {\n\t\t\tscripts 100\n\t\t\twithin 1s\n\t\t}", "conductor_http "+w.ironic.HTTPURL,
		"deploy_kernel http://127.0.0.1:1/kernel", "deploy_ramdisk http://127.0.0.1:1/ramdisk")
	m := &machines{edge: e, line: line, macs: make(map[kind]string), well: make(map[kind]string)}
	for _, k := range kinds {
		m.macs[k] = strangeMAC
		if k.node != "" {
			m.macs[k] = w.nodes[k.node].MACs[0]
		}
	}
	m.recover(t)
	for _, k := range kinds {
		if end := m.well[k]; k.status == http.StatusOK && !strings.Contains("\n"+end, "\n"+k.end) {
			t.Errorf("%s does\n%s\nwant %q at the end", k, end, k.end)
		}
	}
	until(t, e, "the snapshot has all nodes", func() bool {
		text, err := os.ReadFile(snapshot)
		return err == nil && !slices.ContainsFunc(kinds, func(k kind) bool { return k.node != "" && !strings.Contains(string(text), w.nodes[k.node].UUID) })
	})
	for _, trouble := range allTroubles {
		t.Run(trouble.name, func(t *testing.T) { m.endure(t, trouble) })
		if t.Failed() {
			log := e.Log()
			t.Logf("the edge's log ends with:\n%s", log[max(0, len(log)-3000):])
		}
	}
}

// endure brings a trouble about, looks at all that machines are told from its beginning to its end, and waits until all is
// well again.
func (m *machines) endure(t *testing.T, trouble troubled) {
	if err := trouble.set(m.line); err != nil {
		t.Fatal(err)
	}
	if trouble.kill {
		m.edge.Kill()
		if err := m.edge.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	troubled := time.Now()
	var figures figures
	first := make(map[kind]answer)
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, k := range kinds {
		group.Go(func() {
			a := m.until(t, k, func(a answer) bool { return !m.fresh(k, a) }) // what was said just before has grown old
			mu.Lock()
			defer mu.Unlock()
			first[k] = a
		})
	}
	group.Wait()
	begins := trouble // a machine may wait for a reading of the site, and not see its end
	begins.reasons = append(slices.Clone(trouble.reasons), "ironic_slow")
	for _, k := range kinds {
		m.check(t, begins, k, first[k])
		figures.add("first", k, first[k].took)
	}
	// The trouble is known by now. Who can be given something waits for Ironic no more.
	for range 20 {
		for _, k := range kinds {
			if k.usable && !trouble.up {
				a := m.ask(t, k)
				m.check(t, trouble, k, a)
				figures.add("then", k, a.took)
			}
		}
	}
	if !trouble.up {
		until(t, m.edge, "Ironic is taken for down", func() bool {
			for _, k := range kinds {
				group.Go(func() { m.ask(t, k) })
			}
			group.Wait()
			return isDown(m.edge)
		})
		t.Logf("Ironic is known to be down within %v", time.Since(troubled).Round(100*time.Millisecond))
	}
	for _, k := range kinds {
		if !k.usable { // what was under way when that became known comes to its end
			m.until(t, k, func(a answer) bool { return a.header.Get("X-Ironic-Edge-Reason") != "ironic_slow" })
		}
	}
	for range 50 {
		for _, k := range kinds {
			a := m.ask(t, k)
			m.check(t, trouble, k, a)
			figures.add("warm", k, a.took)
		}
	}
	if isDown(m.edge) == trouble.up {
		t.Errorf("Ironic is taken for down: %v", !trouble.up)
	}
	began := time.Now()
	if err := m.line.Suffer(nil); err != nil {
		t.Fatal(err)
	}
	m.recover(t)
	t.Logf("all is well %v after the line is back\n%s", time.Since(began).Round(time.Millisecond), figures.String())
	figures.judge(t)
}

// recover waits until each machine is told again what is right now, and does what it did before.
func (m *machines) recover(t *testing.T) {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	for _, k := range kinds {
		group.Go(func() {
			a := m.until(t, k, func(a answer) bool { return m.fresh(k, a) })
			mu.Lock()
			defer mu.Unlock()
			if was, ok := m.well[k]; ok && was != a.trace {
				t.Errorf("%s does something else than before:\n%s\nbefore:\n%s", k, a.trace, was)
			}
			m.well[k] = a.trace
		})
	}
	group.Wait()
}

func (m *machines) fresh(k kind, a answer) bool {
	return a.status == k.status && a.header.Get("X-Ironic-Edge-Reason") == k.reason && !strings.Contains(a.header.Get("Cache-Status"), "fwd=stale")
}

// check is the table of docs/operating.md.
func (m *machines) check(t *testing.T, trouble troubled, k kind, a answer) {
	t.Helper()
	if a.status == 0 {
		return // said already
	}
	reason, stale := a.header.Get("X-Ironic-Edge-Reason"), strings.Contains(a.header.Get("Cache-Status"), "fwd=stale")
	after, err := strconv.Atoi(a.header.Get("Retry-After"))
	if (a.status == http.StatusServiceUnavailable) != (err == nil && after >= 1 && after <= 30) {
		t.Errorf("%s: %s: %d with Retry-After %q", trouble.name, k, a.status, a.header.Get("Retry-After"))
	}
	var ok bool
	switch {
	case k.usable && k.status == http.StatusOK:
		ok = a.status == http.StatusOK && reason == "stale" && stale && a.trace == m.well[k] && strings.Contains(a.body, "this is what it said")
	case k.usable:
		ok = a.status == k.status && reason == k.reason && stale
	case k.node == "" && !trouble.up: // it is told to go on, unless Ironic may yet answer
		ok = a.status == http.StatusNotFound && reason == "no_node_stale" && stale ||
			a.status == http.StatusServiceUnavailable && reason == "ironic_slow" && slices.Contains(trouble.reasons, reason)
	case trouble.up && reason != "ironic_slow":
		ok = a.status == http.StatusOK && slices.Contains(trouble.reasons, reason)
	default:
		ok = a.status == http.StatusServiceUnavailable && slices.Contains(trouble.reasons, reason) && a.close
	}
	if !ok {
		t.Errorf("%s: %s: %d, reason %q, Cache-Status %q, after %v:\n%s", trouble.name, k, a.status, reason, a.header.Get("Cache-Status"), a.took, a.body)
	}
}

// answer is what a machine is told.
type answer struct {
	status int // 0: nothing; the test has failed
	header http.Header
	body   string
	trace  string // what the machine does then
	close  bool   // the connection is closed then
	took   time.Duration
}

// until asks until an answer is as wanted.
func (m *machines) until(t *testing.T, k kind, wanted func(answer) bool) (a answer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := edge.Poll(ctx, func() bool { a = m.ask(t, k); return wanted(a) }); err != nil {
		t.Errorf("%s: %v; the last answer: %d, reason %q, Cache-Status %q", k, err, a.status, a.header.Get("X-Ironic-Edge-Reason"), a.header.Get("Cache-Status"))
		return answer{}
	}
	return a
}

func (m *machines) ask(t *testing.T, k kind) answer {
	t.Helper()
	mac := m.macs[k]
	url := "http://" + m.edge.Address + "/pxelinux.cfg/" + strings.ReplaceAll(mac, ":", "-")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	r.Header.Set("User-Agent", "iPXE/1.21.1+")
	began := time.Now()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Errorf("%s: %v", k, err)
		return answer{}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s: %v", k, err)
		return answer{}
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(body), close: response.Close, took: time.Since(began)}
	if a.status == http.StatusOK {
		well := ipxetest.NetworkFunc(func(ipxetest.Request) ipxetest.Response { return ipxetest.Response{Status: http.StatusOK} })
		a.trace = ipxetest.Run(body, ipxetest.Machine{NICs: []string{mac}, Network: well, Base: url}).Canonical().String()
	}
	return a
}

// figures are how long answers took, by phase.
type figures struct{ of [3]map[bool][]time.Duration }

var phases = []string{"first", "then", "warm"}

func (f *figures) add(phase string, k kind, took time.Duration) {
	i := slices.Index(phases, phase)
	if f.of[i] == nil {
		f.of[i] = make(map[bool][]time.Duration)
	}
	f.of[i][k.usable] = append(f.of[i][k.usable], took)
}

// slowest is what no answer may take that needs nothing of Ironic: far more than it takes, and less than any wait for Ironic.
const slowest = 250 * time.Millisecond

func (f *figures) judge(t *testing.T) {
	t.Helper()
	// It takes five failures until an Ironic that refuses is taken for down.
	if d := percentile(f.of[1][true], 90); d > slowest {
		t.Errorf("once a trouble is known, an old answer takes %v (p90)", d)
	}
	if d := percentile(slices.Concat(f.of[2][true], f.of[2][false]), 99); d > slowest {
		t.Errorf("in the midst of the trouble an answer takes %v (p99)", d)
	}
}

func (f *figures) String() string {
	var b strings.Builder
	for i, phase := range phases {
		for _, usable := range []bool{true, false} {
			if d := f.of[i][usable]; len(d) > 0 {
				what := map[bool]string{true: "an old answer", false: "nothing usable"}[usable]
				fmt.Fprintf(&b, "%-6s %-15s %4d answers: p50 %v, p99 %v, most %v\n", phase, what, len(d), percentile(d, 50), percentile(d, 99), percentile(d, 100))
			}
		}
	}
	return b.String()
}

func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[max(0, (len(d)*p+99)/100-1)].Round(10 * time.Microsecond)
}
