// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notify

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/integration/realironic"
	"github.com/ironic-edge/ironic-edge/integration/realrabbit"
	"github.com/ironic-edge/ironic-edge/ironic/notification/brokertest"
)

// seenTimeout is for what takes a moment, on a machine that may be busy.
const seenTimeout = time.Minute

func TestNotifications(t *testing.T) {
	binary, err := edge.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("RABBIT_PASSWORD", realrabbit.EdgePassword)
	for driver, tls := range map[string]bool{"messagingv2": false, "messaging": true} {
		t.Run(driver, func(t *testing.T) { notifications(t, binary, driver, tls) })
	}
}

// rack is a broker, an Ironic that publishes to it, and an edge that hears it and would keep what it knows for an hour.
type rack struct {
	t      *testing.T
	broker *realrabbit.Rabbit
	edge   *edge.Edge
	node   *realironic.Node
}

func notifications(t *testing.T, binary, driver string, tls bool) {
	broker, err := realrabbit.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Stop(); err != nil {
			t.Error(err)
		}
	})
	i, err := realironic.Start(t.Context(), realironic.Release39, t.TempDir(), realironic.Options{
		Notifications: &realironic.Notifications{URL: broker.URL("rabbit", realrabbit.IronicUser, realrabbit.IronicPassword), Driver: driver}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Stop(); err != nil {
			t.Error(err)
		}
	})
	var cases []realironic.Case
	for _, c := range realironic.CasesOf(i.Release, false) {
		if c.Name == "manageable" {
			cases = append(cases, c)
		}
	}
	nodes, err := realironic.Fleet(t.Context(), i, cases)
	if err != nil {
		t.Fatal(err)
	}
	from := "notifications amqp://" + realrabbit.EdgeUser + ":{env.RABBIT_PASSWORD}@" + broker.Address
	if tls {
		distrusts(t, binary, i.URL, broker)
		from = byTLS(broker, broker.CA)
	}
	e, err := edge.Start(t.Context(), binary, t.TempDir(), i.URL,
		"node_ttl 1h", "negative_ttl 1h", "deploy_kernel http://images/k", "deploy_ramdisk http://images/r", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	r := &rack{t, broker, e, nodes[0]}
	mac := r.node.MACs[0]
	r.until("the edge is connected", r.connected)

	if _, status := r.script(mac); status != http.StatusNotFound {
		t.Fatalf("a manageable node gets status %d, want 404", status)
	}
	r.provision("inspect", "inspect wait")
	r.until("the script is the agent's", r.deploys(mac))
	r.provision("abort", "inspect failed")
	r.until("there is no script any more", r.nothing(mac))
	r.provision("inspect", "inspect wait")
	r.until("the script is the agent's again", r.deploys(mac))

	const further = "52:54:00:00:ab:01"
	if _, status := r.script(further); status != http.StatusNotFound {
		t.Fatalf("an unknown MAC gets status %d, want 404", status)
	}
	if err := r.node.AddPort(t.Context(), further); err != nil {
		t.Fatal(err)
	}
	r.until("the MAC is known", r.deploys(further))
	if text := e.Metrics(); strings.Contains(text, `outcome="unreadable"`) ||
		!strings.Contains(text, `ironic_edge_notifications_total{object="node",outcome="applied"}`) ||
		!strings.Contains(text, `ironic_edge_notifications_total{object="port",outcome="applied"}`) {
		t.Errorf("the metrics do not show what was heard:\n%s", grep(text, "notification"))
	}

	if err := broker.Down(); err != nil {
		t.Fatal(err)
	}
	r.until("the edge knows that it hears nothing", func() bool { return !r.connected() })
	r.provision("abort", "inspect failed")
	r.until("there is no script any more, though nothing is heard", r.nothing(mac))
	if err := broker.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The exchange ended with the broker. It is there again when Ironic publishes something.
	r.provision("inspect", "inspect wait")
	r.until("the edge is connected again", r.connected)
	r.until("the script is the agent's after the outage", r.deploys(mac))
	r.provision("abort", "inspect failed")
	r.until("there is no script any more after the outage", r.nothing(mac))

	for _, secret := range []string{realrabbit.EdgePassword, "p@ss", "p%40ss"} {
		if strings.Contains(e.Log(), secret) {
			t.Error("the password is in the log")
		}
	}
	if n := strings.Count(e.Log(), "hearing Ironic's notifications"); n != 2 {
		t.Errorf("the log says %d times that the edge is connected, want twice:\n%s", n, grep(e.Log(), "notification"))
	}
}

// byTLS has the edge hear the broker by TLS and trust the authority in a file.
func byTLS(broker *realrabbit.Rabbit, file string) string {
	return "notifications amqps://" + realrabbit.EdgeUser + ":{env.RABBIT_PASSWORD}@" + broker.TLSAddress + " {\n ca_file " + file + "\n}"
}

// distrusts runs an edge that trusts another authority than the broker's: its log and its status say so.
func distrusts(t *testing.T, binary, ironic string, broker *realrabbit.Rabbit) {
	t.Helper()
	other, err := brokertest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "other.pem")
	if err := os.WriteFile(file, []byte(other.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := edge.Start(t.Context(), binary, dir, ironic, byTLS(broker, file))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), seenTimeout)
	defer cancel()
	const wrong = "the broker's certificate comes from an authority that is not trusted here; give ca_file"
	out := ""
	if err := edge.Poll(ctx, func() bool {
		out, _ = e.Ask(ctx, "status")
		return strings.Contains(out, "not by "+broker.TLSAddress+": "+wrong) && strings.Contains(e.Log(), wrong)
	}); err != nil {
		t.Errorf("neither status nor the log says that the authority is not trusted: %v\n%s\n%s", err, out, grep(e.Log(), "notification"))
	}
}

func (r *rack) provision(verb, state string) {
	r.t.Helper()
	if err := r.node.Provision(r.t.Context(), verb, state); err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a condition.
func (r *rack) until(what string, holds func() bool) {
	r.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.t.Context(), seenTimeout)
	defer cancel()
	if err := edge.Poll(ctx, holds); err != nil {
		text, status := r.script(r.node.MACs[0])
		r.t.Fatalf("%s: %v\nthe answer: %d %s\nthe edge:\n%s\nthe metrics:\n%s\nthe broker: %s", what, err, status, text,
			r.edge.Log(), grep(r.edge.Metrics(), "notification"), r.broker.Log())
	}
	r.t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
}

func (r *rack) connected() bool {
	return strings.Contains(r.edge.Metrics(), `ironic_edge_notification_brokers{state="connected"} 1`)
}

func (r *rack) deploys(mac string) func() bool {
	return func() bool {
		text, status := r.script(mac)
		return status == http.StatusOK && strings.Contains(text, "/deploy_kernel ")
	}
}

func (r *rack) nothing(mac string) func() bool {
	return func() bool {
		_, status := r.script(mac)
		return status == http.StatusNotFound
	}
}

func (r *rack) script(mac string) (string, int) {
	response, err := http.Get("http://" + r.edge.Address + "/pxelinux.cfg/" + strings.ReplaceAll(mac, ":", "-"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text), response.StatusCode
}

// grep is the lines of a text that have a word in them.
func grep(text, word string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
