// SPDX-License-Identifier: Apache-2.0

// Package ironiccontract holds the tests that an Ironic passes on which ironic-edge can rely, in the way of testing/fstest:
// the part of the API that package ironic asks and that the edge relays for agents, down to the form of refusals.
//
// The stand-in of package ironictest passes them in this package's own test, real Ironic in integration/contract. What
// real Ironic does decides: a difference is a fault of the stand-in, or of the client that relies on something else.
//
// Texts of refusals differ between releases. The contract holds statuses, documents and what the text is about.
package ironiccontract
