// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironic-edge/ironic-edge/cache/disk"
)

// storeCollector tells what the open stores have and did. There is one in a process, as with the other collectors.
type storeCollector struct {
	metrics        []storeMetric
	prefetch, sent *prometheus.Desc
}

type storeMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(disk.Stats) float64
}

func newStoreCollector() *storeCollector {
	c := &storeCollector{prefetch: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "prefetch_images"),
		"Images that the sites of a store want in it, and that are there.", []string{"store", "state"}, nil),
		sent: prometheus.NewDesc(prometheus.BuildFQName(namespace, "store", "sent_bytes_total"), "Bytes that nodes got by way of the store.", []string{"store"}, nil)}
	add := func(name, help string, kind prometheus.ValueType, value func(disk.Stats) float64) {
		c.metrics = append(c.metrics, storeMetric{
			prometheus.NewDesc(prometheus.BuildFQName(namespace, "store", name), help, []string{"store"}, nil), kind, value})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add("bytes", "Bytes that the store's objects take or have reserved.", gauge, func(s disk.Stats) float64 { return float64(s.Bytes) })
	add("max_bytes", "Bytes that the store may take.", gauge, func(s disk.Stats) float64 { return float64(s.MaxBytes) })
	add("objects", "Objects in the store.", gauge, func(s disk.Stats) float64 { return float64(s.Objects) })
	add("max_objects", "Objects that the store may have.", gauge, func(s disk.Stats) float64 { return float64(s.MaxObjects) })
	add("filling", "Objects that are being filled.", gauge, func(s disk.Stats) float64 { return float64(s.Filling) })
	add("oldest_use_seconds", "How long ago the object was used that is evicted next.", gauge, func(s disk.Stats) float64 {
		if s.OldestUse.IsZero() {
			return 0
		}
		return time.Since(s.OldestUse).Seconds()
	})
	add("fills_total", "Objects that were filled to the end.", counter, func(s disk.Stats) float64 { return float64(s.Filled) })
	add("resumed_total", "Connections to origins that broke and were taken up again.", counter, func(s disk.Stats) float64 { return float64(s.Resumed) })
	add("received_bytes_total", "Bytes that came from origins.", counter, func(s disk.Stats) float64 { return float64(s.Received) })
	add("bad_blocks_total", "Blocks whose checksum was wrong.", counter, func(s disk.Stats) float64 { return float64(s.BadBlocks) })
	add("bad_objects_total", "Objects that were put into quarantine.", counter, func(s disk.Stats) float64 { return float64(s.BadObjects) })
	add("not_stored_total", "Objects that found no room, or could not be written, and were passed on.", counter, func(s disk.Stats) float64 { return float64(s.NotStored) })
	add("evictions_total", "Objects that were evicted.", counter, func(s disk.Stats) float64 { return float64(s.Evicted) })
	add("evicted_bytes_total", "Bytes of evicted objects.", counter, func(s disk.Stats) float64 { return float64(s.EvictedBytes) })
	return c
}

// Describe tells which metrics there are.
func (c *storeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		to <- m.desc
	}
	to <- c.prefetch
	to <- c.sent
}

// Collect tells their values.
func (c *storeCollector) Collect(to chan<- prometheus.Metric) {
	stores.Range(func(key, value any) bool {
		s := value.(*storage)
		store := s.opened()
		if store == nil {
			return true
		}
		stats := store.Stats()
		for _, m := range c.metrics {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats), key.(string))
		}
		to <- prometheus.MustNewConstMetric(c.sent, prometheus.CounterValue, float64(s.sent.Load()), key.(string))
		if wanted, there := s.prefetched(); wanted > 0 {
			to <- prometheus.MustNewConstMetric(c.prefetch, prometheus.GaugeValue, float64(wanted), key.(string), "wanted")
			to <- prometheus.MustNewConstMetric(c.prefetch, prometheus.GaugeValue, float64(there), key.(string), "there")
		}
		return true
	})
}
