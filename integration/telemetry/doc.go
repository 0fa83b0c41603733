// SPDX-License-Identifier: Apache-2.0

// Package telemetry has simulated machines boot from the edge, before a stand-in Ironic, while Debian's Prometheus scrapes
// its metrics and an OTLP endpoint takes its traces. The dashboard and the alerts in docs are what is asked of Prometheus.
package telemetry
