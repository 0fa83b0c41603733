// SPDX-License-Identifier: Apache-2.0

// Package qemu boots virtual machines with real iPXE for tests: Debian's QEMU, its iPXE ROM, SeaBIOS or OVMF. A machine
// has one NIC behind QEMU's user network, where the address 10.0.2.2 is the host's loopback, and a serial console that
// a test can wait on.
//
// Build makes what it boots: a kernel and an initramfs that stands in for Ironic's agent, and an ISO with both.
package qemu
