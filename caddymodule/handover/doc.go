// SPDX-License-Identifier: Apache-2.0

// Package handover lets a reload lose no connection. It is a listener wrapper for Caddy, caddy.listeners.ironic_edge.
//
// At a reload Caddy opens a second listener at the same address (SO_REUSEPORT), and then closes the first. Two kinds of
// connections fall into the gap: those that the kernel has put into the queue of the first, which it resets; and those
// that the first has accepted, but whose request it reads only after it began to shut down, which Go's net/http closes
// without a word (net/http.(*conn).serve). Firmware takes both for a refusal and boots something else.
//
// So a listener that closes while a newer one is open at its address sends new connections there (steer), stays open
// until those under way to it have arrived, and gives them to the newer one, as it does with accepted connections that
// are closed although they have asked and got nothing.
package handover
