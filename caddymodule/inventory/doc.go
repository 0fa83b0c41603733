// SPDX-License-Identifier: Apache-2.0

// Package inventory knows the nodes of one site: those of a part of an Ironic, with their addresses, from a few lists instead
// of two questions for each machine that boots.
//
// It reads everything now and then, and in between what changed last. What it knows it holds as answers (lookup.Held), so
// that a machine that boots is answered the same way whether its node was listed or asked for alone; what is asked for alone
// comes back here (Learn), so that all names of a node tell the same. An answer is as old as its oldest part: the node, or
// the port that leads to it.
//
// When many machines boot at once and all want their nodes confirmed, one reading confirms them all (Confirm).
//
// What is known outlives the process in a file without secrets, and does not get younger by it. A node whose agent has
// reported since its facts were got has left that state: a line at the end of the file says so (Closed).
package inventory
