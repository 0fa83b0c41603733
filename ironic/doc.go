// SPDX-License-Identifier: Apache-2.0

// Package ironic asks OpenStack Ironic's API for the facts about a node on which its boot script depends, and translates
// the answers into an ipxe.Node. It remembers nothing about nodes; what it keeps is what every call needs: a token, the
// microversion that both sides speak, open connections.
//
// A MAC address is resolved in two calls, port and node, each with its fields named. A third and fourth call, for
// volume targets and connectors, are made only for a node that boots from a volume; an address that no port has costs one
// call more, for a portgroup. The package never calls /v1/lookup: Ironic hands out the agent's one-shot token there, and
// the node's deployment fails when somebody else has taken it.
//
// The nodes of a part of an Ironic, their addresses and volumes can be listed instead (Nodes, Ports, AddVolumes), and those
// whose state changed last (Changed).
//
// There are three ways not to get a node, and what to do differs for each: ErrNoNode (Ironic does not know it),
// ErrUnavailable (Ironic cannot tell now), ErrBadAnswer (what Ironic said cannot be used). An answer that would make a
// wrong script is refused rather than read leniently.
//
// Glance is asked by the same login: what an image's id leads to, with the digest that its bytes must have and the header
// to fetch them with. An image that Glance would not give out now is ErrNoImage, or ErrUnavailable while it is on its way.
//
// The API masks secrets for everybody, and this package carries none: no CHAP password, no agent token. The token in an
// image's header does not show when that is printed. Errors hold no bodies of answers and no credentials, and can be logged
// as they are.
package ironic
