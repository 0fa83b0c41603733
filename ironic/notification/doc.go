// SPDX-License-Identifier: Apache-2.0

// Package notification hears what Ironic publishes over RabbitMQ when something changes: its versioned notifications.
//
// Listen keeps a connection to the broker and tells which nodes changed. It reads from a queue of its own, which goes with
// the connection, so that it takes no message from anybody and leaves nothing behind. It declares nothing that is
// Ironic's. What is published while there is no connection is lost, as it is for anybody whom oslo.messaging serves; the
// Handler is told of each connection, and can take what it knew before for old.
//
// Decode reads one message. What it does not know is no error of the connection: it is told to the Handler and left.
package notification
