// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
	"github.com/ironic-edge/ironic-edge/ironic/notification"
	"github.com/ironic-edge/ironic-edge/ironic/notification/brokertest"
)

const (
	ironicExchange = "ironic"
	ironicKey      = "ironic_versioned_notifications.info"
)

// notified is an edge that hears a broker and would keep what it knows for an hour.
func notified(t *testing.T, broker *brokertest.Broker) *edge {
	t.Helper()
	t.Setenv("EDGE_TEST_RABBIT", broker.Password)
	e := newEdge(t, func(h *Handler) {
		h.NodeTTL, h.NegativeTTL = caddy.Duration(time.Hour), caddy.Duration(time.Hour)
		h.Notifications = &Notifications{URL: "amqp://" + broker.User + ":{env.EDGE_TEST_RABBIT}@" + broker.Address}
	})
	e.handler.site.feed.use(e.handler)
	return e
}

func (e *edge) connected() bool {
	return e.handler.site.feed.view().Connected
}

// metricValue is that of a counter or gauge.
func metricValue(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%d metrics, %v; want one", len(families), err)
	}
	m := families[0].GetMetric()[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func about(object, data string) []byte {
	return fmt.Appendf(nil, `{"event_type": "baremetal.%s.update.end", "payload": {"ironic_object.data": %s}}`, object, data)
}

// TestNotifications changes a node in Ironic: who asks after the notification gets what is so then.
func TestNotifications(t *testing.T) {
	broker := brokertest.Start(t, ironicExchange)
	e := notified(t, broker)
	eventually(t, "the edge is connected", e.connected)
	target := "/pxelinux.cfg/" + nodeMAC(1)
	e.get(t, target)
	calls := e.api.Calls("node")
	e.get(t, target)
	if n := e.api.Calls("node"); n != calls {
		t.Fatalf("Ironic was asked %d times more for a node that was known", n-calls)
	}
	for name, body := range map[string][]byte{
		"node":            about("node", `{"uuid": "`+strings.ToUpper(nodeUUID(1))+`"}`),
		"port":            about("port", `{"node_uuid": null, "address": "`+strings.ReplaceAll(nodeMAC(1), "-", ":")+`"}`),
		"volumetarget":    about("volumetarget", `{"node_uuid": "`+nodeUUID(1)+`"}`),
		"volumeconnector": about("volumeconnector", `{"node_uuid": "`+nodeUUID(1)+`"}`),
		"portgroup":       about("portgroup", `{"node_uuid": "`+nodeUUID(1)+`", "address": null}`),
	} {
		calls, before := e.api.Calls("node"), metricValue(t, collectors.notifications.WithLabelValues(name, "applied"))
		if n := broker.Publish(ironicExchange, ironicKey, body); n != 1 {
			t.Fatalf("%d hear it", n)
		}
		eventually(t, "a "+name+" makes the node stale", func() bool {
			e.get(t, target)
			return e.api.Calls("node") == calls+1
		})
		if n := metricValue(t, collectors.notifications.WithLabelValues(name, "applied")) - before; n < 1 {
			t.Errorf("%s: counted %v times", name, n)
		}
	}
	if e.handler.site.feed.view().Last == nil {
		t.Error("no time of the last message")
	}
}

// TestNotificationOfTheUnknown is about "no such node" that was true until a node or a port was made.
func TestNotificationOfTheUnknown(t *testing.T) {
	broker := brokertest.Start(t, ironicExchange)
	e := notified(t, broker)
	eventually(t, "the edge is connected", e.connected)
	for target, body := range map[string][]byte{
		"/pxelinux.cfg/52-54-00-ff-00-01": about("port", `{"node_uuid": "`+nodeUUID(1)+`", "address": "52:54:00:ff:00:01"}`),
		"/" + nodeUUID(99) + "/config":    about("node", `{"uuid": "`+nodeUUID(99)+`"}`),
	} {
		asked := func() int { return e.api.Calls("ports") + e.api.Calls("node") }
		if got := e.get(t, target); got.status != http.StatusNotFound {
			t.Fatalf("%s: %d", target, got.status)
		}
		before := asked()
		if e.get(t, target); asked() != before {
			t.Fatalf("%s: Ironic was asked again for what it does not know", target)
		}
		broker.Publish(ironicExchange, ironicKey, body)
		eventually(t, target+" is asked for anew", func() bool {
			e.get(t, target)
			return asked() > before
		})
	}
}

// TestNotificationsMissed is about what changes while the broker cannot be reached: for that time a long node_ttl does not
// count, and when it is there again all is asked for anew.
func TestNotificationsMissed(t *testing.T) {
	broker := brokertest.Start(t, ironicExchange)
	e := notified(t, broker)
	core, logs := observer.New(zap.DebugLevel)
	eventually(t, "the edge is connected", e.connected)
	e.handler.site.feed.logger.Store(zap.New(core))
	h := e.handler
	if got := h.site.feed.terms(h, &h.terms); got.Value != time.Hour || got.Negative != time.Hour {
		t.Errorf("connected, answers are good for %s and %s, want an hour", got.Value, got.Negative)
	}
	broker.Down()
	eventually(t, "the edge knows that it is not connected", func() bool { return !e.connected() })
	if got := h.site.feed.terms(h, &h.terms); got.Value != defaultNodeTTL || got.Negative != defaultNegativeTTL || got.Usable == nil || got.Patience == 0 {
		t.Errorf("not connected, answers are good for %s and %s, want %s and %s", got.Value, got.Negative, defaultNodeTTL, defaultNegativeTTL)
	}
	target := "/pxelinux.cfg/" + nodeMAC(1)
	e.get(t, target)
	calls := e.api.Calls("node")
	broker.Up(t)
	eventually(t, "the edge is connected again", e.connected)
	if e.get(t, target); e.api.Calls("node") != calls+1 {
		t.Errorf("after the connection Ironic was asked %d times, want once", e.api.Calls("node")-calls)
	}
	if e.get(t, target); e.api.Calls("node") != calls+1 {
		t.Errorf("later Ironic was asked %d times, want once", e.api.Calls("node")-calls)
	}
	if n := logs.FilterMessageSnippet("hearing Ironic's notifications").Len(); n != 1 {
		t.Errorf("the log says %d times that it is connected again, want once", n)
	}
	if logs.FilterMessageSnippet("are not heard").Len() == 0 {
		t.Error("the log does not say that notifications are not heard")
	}
	broker.Publish(ironicExchange, ironicKey, []byte("s3cret"))
	broker.Publish(ironicExchange, ironicKey, []byte("s3cret"))
	broker.Publish(ironicExchange, ironicKey, about("node", `{"uuid": "`+nodeUUID(1)+`"}`))
	eventually(t, "the node is stale", func() bool {
		e.get(t, target)
		return e.api.Calls("node") == calls+2
	})
	if n := logs.FilterMessageSnippet("cannot be read").Len(); n != 1 {
		t.Errorf("the log says %d times that messages cannot be read, want once", n)
	}
	if text := fmt.Sprint(logs.All()); strings.Contains(text, broker.Password) {
		t.Errorf("the log shows a secret: %s", text)
	}
}

// TestNotificationsOutlastReloads reloads configurations: with the same options the connection stays, with others there is
// another, one that cannot start changes nothing in the end, and without the option there is none.
func TestNotificationsOutlastReloads(t *testing.T) {
	first, second := brokertest.Start(t, ironicExchange), brokertest.Start(t, ironicExchange)
	t.Setenv("EDGE_TEST_RABBIT", first.Password)
	api := ironictest.Start(ironictest.DemoFleet("http://127.0.0.1:1")...)
	defer api.Close()
	address := freeAddress(t)
	config := func(broker *brokertest.Broker, options ...string) string {
		return siteConfig(address, api.URL, append(options, "notifications amqp://edge:{env.EDGE_TEST_RABBIT}@"+broker.Address)...)
	}
	reload := func(text string) {
		t.Helper()
		if err := load(t, text); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(what string, b *brokertest.Broker, consumers int) {
		t.Helper()
		eventually(t, what, func() bool { return b.Consumers() == consumers })
	}
	reload(config(first))
	defer func() { _ = caddy.Stop() }()
	heard("the first broker is heard", first, 1)
	for range 5 {
		reload(config(first, "agent_debug"))
		reload(config(first))
	}
	if n := first.Accepted(); n != 1 || first.Consumers() != 1 {
		t.Errorf("after reloads there were %d connections, and there are %d; want 1", n, first.Consumers())
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for range 4 { // apps start in no order
		if err := load(t, config(second)+"http://"+taken.Addr().String()+" {\n\trespond hello\n}\n"); err == nil {
			t.Fatal("an address that is taken is listened at")
		}
	}
	if first.Accepted() != 1 || second.Accepted() != 0 {
		t.Errorf("a configuration that cannot start makes %d connections to the first broker and %d to the second, want the 1 and 0 that there were",
			first.Accepted(), second.Accepted())
	}
	reload(config(second))
	heard("after a reload the second is heard", second, 1)
	heard("after a reload the first is not", first, 0)
	wanted := func() float64 { return metricValue(t, collectors.brokers.WithLabelValues("wanted")) }
	if n := wanted(); n != 1 {
		t.Errorf("%v brokers are wanted, want 1", n)
	}
	reload(siteConfig(address, api.URL))
	heard("without the option nothing is heard", second, 0)
	if n := wanted(); n != 0 {
		t.Errorf("without the option %v brokers are wanted", n)
	}
}

// TestLogOfNotifications tells a feed what it would hear of a broker that comes and goes: the log has each cause once.
func TestLogOfNotifications(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	f := &newEdge(t, nil).handler.site.feed
	f.logger.Store(zap.New(core))
	refused, gone := errors.New("refused"), errors.New("gone")
	for _, err := range []error{refused, refused, refused, gone, gone, refused} {
		f.Lost(err, time.Second)
	}
	f.Connected()
	f.Lost(refused, time.Second)
	f.Lost(refused, time.Second)
	var got []string
	for _, entry := range logs.All() {
		got = append(got, fmt.Sprint(entry.ContextMap()["error"]))
	}
	if want := []string{"refused", "gone", "refused", "<nil>", "refused"}; !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

// TestNotificationsDiffer is about two sites that would hear one Ironic at two brokers.
func TestNotificationsDiffer(t *testing.T) {
	t.Setenv("EDGE_TEST_RABBIT", "x")
	site := func(host string) string {
		return siteConfig(freeAddress(t), "http://127.0.0.1:1", "notifications amqp://edge:{env.EDGE_TEST_RABBIT}@"+host)
	}
	_, second, _ := strings.Cut(site("127.0.0.1:2"), "\n}\n")
	err := load(t, site("127.0.0.1:1")+second)
	if err == nil {
		_ = caddy.Stop()
	}
	if err == nil || !strings.Contains(err.Error(), "option notifications differs") {
		t.Errorf("error %v, want one that says that they differ", err)
	}
}

func TestResolveNotifications(t *testing.T) {
	secret := "p@:/?#[]%zz s3cret"
	t.Setenv("EDGE_TEST_SECRET", secret)
	t.Setenv("EDGE_TEST_HOST", "rabbit")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(c notification.Config) notification.Config {
		c.Exchange, c.Topic, c.Password = "ironic", "ironic_versioned_notifications", secret
		return c
	}
	for text, want := range map[string]notification.Config{
		"amqp://edge:{env.EDGE_TEST_SECRET}@rabbit":                           with(notification.Config{Address: "rabbit:5672", User: "edge", VHost: "/"}),
		"amqps://edge:{env.EDGE_TEST_SECRET}@rabbit/":                         with(notification.Config{Address: "rabbit:5671", TLS: true, User: "edge", VHost: "/"}),
		"amqp://edge:{env.EDGE_TEST_SECRET}@[2001:db8::1]:1/ironic":           with(notification.Config{Address: "[2001:db8::1]:1", User: "edge", VHost: "ironic"}),
		"amqp://edge:{file." + file + "}@{env.EDGE_TEST_HOST}:1/%2Fa":         with(notification.Config{Address: "rabbit:1", User: "edge", VHost: "/a"}),
		"amqp://{env.EDGE_TEST_SECRET}:{env.EDGE_TEST_SECRET}@rabbit:5672//v": with(notification.Config{Address: "rabbit:5672", User: secret, VHost: "/v"}),
	} {
		h := &Handler{Notifications: &Notifications{URL: text}}
		if err := h.resolveNotifications(nil); err != nil || *h.notifications != want {
			t.Errorf("%s: %+v, %v; want %+v", text, h.notifications, err, want)
		}
	}
	for text, part := range map[string]string{
		"amqp://edge:s3cret@rabbit":                         "stands in clear",
		"amqp://edge:{env.EDGE_TEST_SECRET}s3cret@rabbit":   "stands in clear",
		"edge:s3cret@rabbit":                                "stands in clear",
		"amqp:/edge:s3cret@rabbit":                          "stands in clear",
		"amqp://edge:{env.EDGE_TEST_SECRET}@s3cret@rabbit":  "stands in clear",
		"{env.EDGE_TEST_SECRET}":                            "is no amqp or amqps URL",
		"rabbit://edge:{env.EDGE_TEST_SECRET}@rabbit":       "is no amqp or amqps URL",
		"amqp://rabbit":                                     "has no user and password",
		"amqp://edge@rabbit":                                "has no user and password",
		"amqp://edge:{env.EDGE_TEST_NOT_SET}@rabbit":        "placeholder without a value",
		"amqp://edge:{env.EDGE_TEST_SECRET}@":               "is no URL of a broker",
		"amqp://edge:{env.EDGE_TEST_SECRET}@rabbit:port":    "is no URL of a broker",
		"amqp://edge:{env.EDGE_TEST_SECRET}@rabbit?a=b":     "is no URL of a broker",
		"amqp://edge:{env.EDGE_TEST_SECRET}@rabbit/#a":      "is no URL of a broker",
		"amqp://edge:{env.EDGE_TEST_SECRET}@a:1,edge:x@b:1": "stands in clear",
	} {
		h := &Handler{Notifications: &Notifications{URL: text}}
		err := h.resolveNotifications(nil)
		if err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "option notifications") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v; want an error that says %q and shows no secret", text, err, part)
		}
	}
}
