// SPDX-License-Identifier: Apache-2.0

// Package realironic runs real Ironic releases on loopback for tests, drives a fleet of nodes through every provision
// state that can be reached, and records what each conductor left for the nodes' firmware to boot.
//
// Start runs one `ironic` process (conductor and API together, SQLite, no message queue). Its nodes are of type
// fake-hardware, so nothing but the conductor's own work is real: Stubs plays the web server that holds the images,
// the agent in each node's ramdisk and, for releases that need one, the inspection service. An image whose download never
// ends and an agent that never answers hold a node in a state that otherwise lasts milliseconds.
//
// Fleet drives the nodes (Cases lists them), Capture reads a node back as an ordinary API client sees it, together with the
// files below the conductor's http_root. The states that no request reaches are written into the database; those cases say so.
package realironic
