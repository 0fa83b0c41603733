// SPDX-License-Identifier: Apache-2.0

// Package cache holds what every cache of ironic-edge shares: its vocabulary, its header and its way to let many ask
// for one thing at the price of one.
//
// The words, as the code uses them:
//
//   - object: what is kept, a node's facts or the bytes of an image
//   - key: what an object is asked for by; several keys may lead to one object
//   - fill: getting an object from its source
//   - validator: what tells whether two objects are the same without comparing them (RFC 9110 section 8.8)
//   - freshness lifetime: how long after its fill an object is used without asking again (RFC 9111 section 4.2)
//   - stale: kept longer than that; used only by a rule that says so
//   - coalescing: those who ask for an object while it is being filled wait for that fill and share it
//
// The package imports nothing but the standard library and knows nothing of Ironic.
package cache
