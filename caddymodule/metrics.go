// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// metrics are the edge's collectors. Their names and labels are API. There is one set in a process: Caddy makes a new
// registry at each reload, in which the same collectors are registered again, so that counters go on.
type metrics struct {
	scripts   *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	relays    *prometheus.CounterVec
	lookups   *prometheus.CounterVec
	calls     *prometheus.CounterVec
	callTimes *prometheus.HistogramVec
	images    *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	shadows   *prometheus.CounterVec
	beacons   *prometheus.CounterVec
	up        *prometheus.GaugeVec
	stores    *storeCollector
	readings  *prometheus.CounterVec
	siteCalls *prometheus.CounterVec
	sites     *siteCollector
	edges     *edgeCollector
	agentMetrics
	boots *bootMetrics

	notifications *prometheus.CounterVec
	brokers       *prometheus.GaugeVec
}

const namespace = "ironic_edge"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// fromZero has a counter with one label begin with these values of it: what is 1 at first sight has not grown, to an alert.
func fromZero(c *prometheus.CounterVec, values ...string) *prometheus.CounterVec {
	for _, value := range values {
		c.WithLabelValues(value)
	}
	return c
}

var collectors = &metrics{
	scripts:  counter("scripts_total", "Boot scripts given, by what they boot, why, and how the node was found.", "kind", "reason", "cache"),
	refusals: counter("refusals_total", "Requests refused, by status and reason code.", "status", "reason"),
	relays:   counter("relayed_total", "Calls relayed to Ironic, by what they are.", "call"),
	lookups:  counter("node_lookups_total", "Looks at the node cache, by what they found.", "cache"),
	calls:    counter("ironic_calls_total", "Calls to Ironic's API, by resource and outcome.", "resource", "outcome"),
	callTimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "ironic_call_duration_seconds",
		Help: "How long calls to Ironic's API took.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"resource"}),
	images:       counter("images_total", "Image requests, by label and outcome.", "label", "outcome"),
	bytes:        counter("image_bytes_total", "Bytes of images given to nodes.", "label"),
	shadows:      counter("shadow_total", "Scripts compared with the conductor's, by result.", "result"),
	beacons:      fromZero(counter("beacons_total", "Reports of failures by scripts, by whether they came from where the boot did.", "believed"), "yes", "no"),
	stores:       newStoreCollector(),
	agentMetrics: newAgentMetrics(),
	boots:        newBootMetrics(),
	up: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "ironic_up",
		Help: "Whether Ironic is asked for nodes: 0 while it is taken for down."}, []string{"ironic"}),

	notifications: counter("notifications_total", "Notifications from Ironic, by what they are about and what came of them.", "object", "outcome"),
	brokers: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "notification_brokers",
		Help: "Brokers from which notifications are wanted, and those that are connected."}, []string{"state"}),

	readings: counter("inventory_readings_total", "Readings of a site's nodes, by kind and outcome.", "kind", "outcome"),
	siteCalls: counter("inventory_calls_total", "Calls to Ironic's API that read a site's nodes, by resource."+
		" They are among ironic_calls_total, too.", "resource"),
	sites: newSiteCollector(),
	edges: newEdgeCollector(),
}

// all are the collectors.
func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.scripts, m.refusals, m.relays, m.lookups, m.calls, m.callTimes, m.images, m.bytes, m.shadows, m.beacons, m.up, m.stores,
		m.guards, m.lookupReplays, m.loops, m.boots, m.readings, m.siteCalls, m.sites, m.edges, m.notifications, m.brokers}
}

// registerMetrics puts the collectors into a registry. Two handlers of one configuration share a registry.
func registerMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := collectors
	for _, c := range m.all() {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) script(kind ipxe.Kind, reason ipxe.Reason, status cache.Status) prometheus.Counter {
	return m.scripts.WithLabelValues(string(kind), string(reason), status.Label())
}

func (m *metrics) refusal(status int, reason string) {
	m.refusals.WithLabelValues(strconv.Itoa(status), reason).Inc()
}

func (m *metrics) relayed(call string)        { m.relays.WithLabelValues(call).Inc() }
func (m *metrics) lookup(status cache.Status) { m.lookups.WithLabelValues(status.Label()).Inc() }

func (m *metrics) image(label, outcome string, bytes int64) {
	m.images.WithLabelValues(label, outcome).Inc()
	m.bytes.WithLabelValues(label).Add(float64(bytes))
}

func (m *metrics) beacon(believed bool) {
	label := "no"
	if believed {
		label = "yes"
	}
	m.beacons.WithLabelValues(label).Inc()
}

// ironicCalls counts, times and traces the calls to Ironic's API.
type ironicCalls struct {
	next    http.RoundTripper
	metrics *metrics
}

// RoundTrip does one call.
func (c *ironicCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	resource := apiResource(r.URL.Path)
	ctx, step := startStep(r.Context(), "ironic "+resource, trace.SpanKindClient)
	defer step.end()
	start := time.Now()
	response, err := c.next.RoundTrip(withContext(r, ctx))
	c.metrics.callTimes.WithLabelValues(resource).Observe(time.Since(start).Seconds())
	outcome := "failed"
	if err == nil {
		outcome = strconv.Itoa(response.StatusCode)
		step.number(attributeStatus, int64(response.StatusCode))
	} else {
		step.fail()
	}
	c.metrics.calls.WithLabelValues(resource, outcome).Inc()
	if r.Context().Value(forInventory{}) != nil {
		c.metrics.siteCalls.WithLabelValues(resource).Inc()
	}
	return response, err
}

// apiResource is the bounded name of what a call is for.
func apiResource(p string) string {
	for _, resource := range []string{"nodes", "ports", "portgroups", "volume/targets", "volume/connectors"} {
		if strings.Contains(p+"/", "/v1/"+resource+"/") {
			return resource
		}
	}
	if base := path.Base(p); base == "v1" || base == "/" || base == "." {
		return "version"
	}
	return "identity"
}
