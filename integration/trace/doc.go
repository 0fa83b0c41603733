// SPDX-License-Identifier: Apache-2.0

// Package trace compares the boot scripts that real Ironic wrote with those that package ipxe makes from Ironic's API, by
// what a machine does that runs them, when all goes well and with each request failing once and for ever.
//
// Its test drives a fleet of nodes through every state that real Ironic can be brought to and compares them all. With
// -update it also writes the traces of Ironic's scripts, and the facts that they came from, into ipxe/testdata, where
// the tests of package ipxe find them without an Ironic:
//
//	go test -tags integration ./integration/trace -update
package trace
