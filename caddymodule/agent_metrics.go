// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/prometheus/client_golang/prometheus"

// agentMetrics are those of the agent's calls and boots.
type agentMetrics struct {
	guards        *prometheus.CounterVec
	lookupReplays prometheus.Counter
	loops         prometheus.Counter
}

func newAgentMetrics() agentMetrics {
	single := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	return agentMetrics{
		guards: fromZero(counter("agent_lookups_total", "Lookups of agents, by what the guard decided.", "decision"),
			guardAllowed, guardRefused, guardReported, guardUnproven),
		lookupReplays: single("agent_lookup_replays_total", "Answers to lookups that were given a second time."),
		loops:         single("boot_loops_total", "Nodes that were found to boot their agent over and over."),
	}
}

func (m *agentMetrics) guard(decision string) { m.guards.WithLabelValues(decision).Inc() }
