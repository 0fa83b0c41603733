// SPDX-License-Identifier: Apache-2.0

// Package edge builds the binary and runs it for the tests that boot through it: real iPXE in QEMU in front, real Ironic
// behind.
package edge
