// SPDX-License-Identifier: Apache-2.0

// Package seen remembers which nodes fetched the agent's script lately, from which addresses, and how often without their
// agent being heard of since.
//
// Two things are judged by it: whether a lookup belongs to a boot that went through this edge, and whether a node boots
// its agent over and over in vain. It is in memory only and bounded; when it is full, the node that was not heard of for
// longest is forgotten.
package seen
