// SPDX-License-Identifier: Apache-2.0

// Package ipxe turns what Ironic knows about a node into the iPXE script that boots it. It reads nothing and writes
// nothing: facts go in (Node, Options), bytes come out (Script), and the same facts give the same bytes.
//
// The scripts are ours. What they share with Ironic's own (ironic/drivers/modules/ipxe_config.template and boot.ipxe)
// is their trace: the machine that runs them fetches the same URLs in the same order, starts the same kernel with the
// same command line, attaches the same volumes, tries again as often and ends in the same action. Package ipxetest
// runs scripts and writes such traces down; testdata holds those of real Ironic releases.
//
// Select is the state table. Nothing that comes from Ironic or from a client can change what a line of a script means:
// iPXE has no quoting, so a value that would is refused (Token, Args) with a reason that the node's console shows.
package ipxe
