// SPDX-License-Identifier: Apache-2.0

// Package boots is the timeline of a site's boots: what each machine asked for since it was switched on, how far it got,
// and in words why it goes no further.
//
// A boot begins when a machine asks for its script, and goes on with the kernel, the ramdisk or the ISO, the agent's
// lookup, its heartbeats and the changes of state that are seen in Ironic. What happens is joined to a boot by the node's
// UUID, the MAC, the request id that the script has for the agent, and the client's address, in this order. A machine that
// asks for its script again begins another boot if it had gone on from the first one, or some minutes have passed; not for
// a second NIC or another attempt within seconds.
//
// A Timeline takes a bounded amount of memory: so many boots, each with so many events, images and addresses. Machines
// that Ironic does not know are in a small ring of their own, so that whoever invents MACs drives out no boot. It is in
// memory, and in a file if it is given one (see Journal).
//
// The package knows neither HTTP nor Caddy. It has no clock but time.Now, and never calls anybody under its lock. What
// is recorded holds names, states, codes, sizes and addresses: no script, no body, no URL.
package boots
