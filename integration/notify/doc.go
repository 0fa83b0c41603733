// SPDX-License-Identifier: Apache-2.0

// Package notify tests that the edge hears real Ironic through real RabbitMQ: what changes in Ironic is in the next script,
// however long the edge may keep what it knows.
package notify
