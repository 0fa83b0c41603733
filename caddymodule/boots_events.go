// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// The events that this module emits in Caddy's events app. Names and data are API.
const (
	eventBootStarted   = "boot_started"
	eventBootStuck     = "boot_stuck"
	eventBootFinished  = "boot_finished"
	eventUnknownMAC    = "unknown_mac"
	eventObjectCorrupt = "object_corrupt"
	eventIronicDown    = "ironic_down"
	eventStale         = "stale_script"
)

// emission is an event on its way to Caddy's events app.
type emission struct {
	name string
	data map[string]any
}

// maxEmissions is how many events may wait while a handler of one takes its time. What comes then is not emitted.
const maxEmissions = 256

// newEmitter returns what emits events of a handler.
func newEmitter(ctx caddy.Context) (func(emission), error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	return func(e emission) { app.(*caddyevents.App).Emit(ctx, e.name, e.data) }, nil
}

// emit has an event emitted soon, never on the path of a request: who handles it may run a command, or reload the server.
func (t *timeline) emit(name string, data map[string]any) {
	select {
	case t.emissions <- emission{name, data}:
	default:
	}
}

// emitAll emits events as they come, until close.
func (t *timeline) emitAll() {
	for {
		select {
		case e := <-t.emissions:
			if h := t.speaker.Load(); h != nil {
				h.emitNow(e)
			}
		case <-t.done:
			return
		}
	}
}

// tell logs, counts and emits what the timeline has to say.
func (t *timeline) tell(n boots.Notice) {
	h := t.speaker.Load()
	if h == nil {
		return
	}
	switch n.Kind {
	case boots.NoticeStarted:
		t.emit(eventBootStarted, bootData(&n.Boot))
	case boots.NoticeStuck:
		h.metrics.boots.diagnosed(n.Diagnosis.Code)
		t.traces.stuck(&n.Boot, n.Diagnosis.Code)
		h.logger.Warn("boot is stuck", append(bootFields(&n.Boot), diagnosisFields(n.Diagnosis)...)...)
		t.emit(eventBootStuck, withDiagnosis(bootData(&n.Boot), n.Diagnosis))
	case boots.NoticeEnded:
		h.bootEnded(&n.Boot)
	case boots.NoticeUnknownMAC:
		h.logger.Info("a machine that Ironic does not know asks for its boot", zap.String("mac", n.Stray.MAC),
			zap.Stringer("client", n.Stray.Client), zap.String("firmware", n.Stray.Firmware), zap.Int("count", n.Stray.Count))
		t.emit(eventUnknownMAC, map[string]any{"mac": n.Stray.MAC, "client": n.Stray.Client.String(), "firmware": n.Stray.Firmware, "count": n.Stray.Count})
	case boots.NoticeSilent:
		s := &n.Silent
		h.metrics.boots.diagnosed(n.Diagnosis.Code)
		h.logger.Warn("node has not asked for its boot", append([]zap.Field{zap.String("node", s.Node), zap.String("name", s.Name),
			zap.String("provision_state", s.State), zap.Time("since", s.Since)}, diagnosisFields(n.Diagnosis)...)...)
		t.emit(eventBootStuck, withDiagnosis(map[string]any{"node": s.Node, "name": s.Name, "provision_state": s.State}, n.Diagnosis))
	case boots.NoticeJournal:
		h.logger.Error("boots cannot be written into their file", zap.Error(n.Err))
	}
}

// bootEnded writes the one line that a boot gets in the log, and counts it.
func (h *Handler) bootEnded(b *boots.Boot) {
	took := b.Ended.Sub(b.Started)
	h.metrics.boots.ended(b, took)
	h.site.boots.traces.end(b)
	fields := append(bootFields(b), zap.String("outcome", string(b.Outcome)), zap.Duration("duration", took), zap.Int("scripts", b.Scripts), zap.Int("restarts", b.Restarts))
	for _, stage := range boots.Stages {
		if d := b.Took(stage); d > 0 {
			fields = append(fields, zap.Duration("stage_"+string(stage), d))
		}
	}
	if len(b.Diagnoses) > 0 {
		fields = append(fields, diagnosisFields(b.Diagnoses[0])...)
	}
	h.logger.Info("boot", fields...)
	data := bootData(b)
	data["outcome"], data["seconds"] = string(b.Outcome), took.Seconds()
	if len(b.Diagnoses) > 0 {
		withDiagnosis(data, b.Diagnoses[0])
	}
	h.site.boots.emit(eventBootFinished, data)
}

func bootFields(b *boots.Boot) []zap.Field {
	return []zap.Field{zap.String("boot", b.ID), zap.String("node", b.Node), zap.String("name", b.Name), zap.Strings("macs", b.MACs),
		zap.Stringers("clients", b.Clients), zap.String("firmware", b.Firmware), zap.String("kind", b.Kind), zap.String("reason", b.Reason),
		zap.String("provision_state", b.State), zap.String("stage", string(b.Stage)), zap.Strings("request_ids", b.RequestIDs)}
}

func diagnosisFields(d boots.Diagnosis) []zap.Field {
	return []zap.Field{zap.String("diagnosis", string(d.Code)), zap.String("seen", d.Seen), zap.String("next", d.Next)}
}

// bootData is what an event says of a boot.
func bootData(b *boots.Boot) map[string]any {
	data := map[string]any{"boot": b.ID, "node": b.Node, "name": b.Name, "firmware": b.Firmware, "kind": b.Kind, "reason": b.Reason,
		"provision_state": b.State, "stage": string(b.Stage), "mac": "", "client": ""}
	if len(b.MACs) > 0 {
		data["mac"] = b.MACs[0]
	}
	if n := len(b.Clients); n > 0 {
		data["client"] = b.Clients[n-1].String()
	}
	return data
}

func withDiagnosis(data map[string]any, d boots.Diagnosis) map[string]any {
	data["diagnosis"], data["severity"], data["seen"], data["next"] = string(d.Code), string(d.Severity), d.Seen, d.Next
	return data
}

// bootMetrics count and time boots.
type bootMetrics struct {
	total  *prometheus.CounterVec
	found  *prometheus.CounterVec
	under  *prometheus.Desc
	times  *prometheus.HistogramVec
	stages *prometheus.HistogramVec
}

func newBootMetrics() *bootMetrics {
	m := &bootMetrics{
		total: counter("boots_total", "Boots that are over, by what they booted and what came of them.", "kind", "outcome"),
		found: counter("boot_diagnoses_total", "Boots that were found to be stuck, and nodes that do not ask for theirs, by diagnosis.", "diagnosis"),
		under: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "boots_under_way"), "Boots that are under way, by whether they are stuck.", []string{"outcome"}, nil),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "boot_duration_seconds",
			Help: "How long boots took from the first request for the script to their end.", Buckets: []float64{1, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}}, []string{"outcome"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "boot_stage_duration_seconds",
			Help: "How long finished boots were in each stage.", Buckets: []float64{.1, .5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}}, []string{"stage"}),
	}
	for _, code := range boots.Told() {
		fromZero(m.found, string(code))
	}
	return m
}

// Describe describes the metrics.
func (m *bootMetrics) Describe(to chan<- *prometheus.Desc) {
	m.total.Describe(to)
	m.found.Describe(to)
	to <- m.under
	m.times.Describe(to)
	m.stages.Describe(to)
}

// Collect collects them.
func (m *bootMetrics) Collect(to chan<- prometheus.Metric) {
	m.total.Collect(to)
	m.found.Collect(to)
	running, stuck := 0, 0
	sites.Range(func(_, value any) bool {
		r, s := value.(*site).boots.UnderWay()
		running, stuck = running+r, stuck+s
		return true
	})
	to <- prometheus.MustNewConstMetric(m.under, prometheus.GaugeValue, float64(running), string(boots.Running))
	to <- prometheus.MustNewConstMetric(m.under, prometheus.GaugeValue, float64(stuck), string(boots.Stuck))
	m.times.Collect(to)
	m.stages.Collect(to)
}

func (m *bootMetrics) diagnosed(code boots.Code) { m.found.WithLabelValues(string(code)).Inc() }

func (m *bootMetrics) ended(b *boots.Boot, took time.Duration) {
	kind := b.Kind
	if kind == "" {
		kind = "none"
	}
	m.total.WithLabelValues(kind, string(b.Outcome)).Inc()
	m.times.WithLabelValues(string(b.Outcome)).Observe(took.Seconds())
	if b.Outcome != boots.Finished {
		return
	}
	for _, stage := range boots.Stages {
		if d := b.Took(stage); d > 0 {
			m.stages.WithLabelValues(string(stage)).Observe(d.Seconds())
		}
	}
}
