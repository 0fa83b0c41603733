// SPDX-License-Identifier: Apache-2.0

// Package contract runs the tests of package ironiccontract against real Ironic, each release with and without
// authentication. With tokens of a real Keystone it goes on to what only happens there: a catalogue with several
// endpoints, tokens and credentials that are revoked, an outage.
package contract
