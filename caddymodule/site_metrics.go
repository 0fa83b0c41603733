// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// siteCollector tells what the inventories have. There is one in a process, as with the other collectors.
type siteCollector struct{ nodes, addresses, age *prometheus.Desc }

func newSiteCollector() *siteCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "inventory", name), help, []string{"ironic", "site"}, nil)
	}
	return &siteCollector{
		nodes:     desc("nodes", "Nodes in a site's inventory."),
		addresses: desc("addresses", "Addresses of ports and portgroups in a site's inventory."),
		age:       desc("age_seconds", "How long ago all of a site's nodes were read last; -1 if they have not been since the start."),
	}
}

// Describe tells which metrics there are.
func (c *siteCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.nodes
	to <- c.addresses
	to <- c.age
}

// Collect tells their values. Accounts of one Ironic that have the same site share its labels, and the first one's are told.
func (c *siteCollector) Collect(to chan<- prometheus.Metric) {
	told := make(map[[2]string]bool)
	sites.Range(func(key, value any) bool {
		// The first words of the key: the endpoint and the kind of authentication, then user and cloud.
		words := strings.Split(key.(string), "\x00")
		endpoint := words[0]
		if endpoint == "" {
			endpoint = words[3]
		}
		for _, r := range value.(*site).allRosters() {
			labels := [2]string{endpoint, r.scope.String()}
			if told[labels] {
				continue
			}
			told[labels] = true
			nodes, addresses, age := r.Size()
			gauge := func(d *prometheus.Desc, v float64) {
				to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels[:]...)
			}
			gauge(c.nodes, float64(nodes))
			gauge(c.addresses, float64(addresses))
			if age < 0 {
				gauge(c.age, -1)
			} else {
				gauge(c.age, age.Seconds())
			}
		}
		return true
	})
}
