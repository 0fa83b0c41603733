// SPDX-License-Identifier: Apache-2.0

// Package realrabbit runs RabbitMQ, with two users: one that Ironic publishes as, and one that may do no more than
// docs/operating.md says the edge needs.
package realrabbit
