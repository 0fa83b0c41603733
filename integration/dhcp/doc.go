// SPDX-License-Identifier: Apache-2.0

// Package dhcp hands what `ironic-edge dhcp-snippet` prints to the DHCP servers that it is for, and has `ironic-edge doctor
// --dhcp` ask such servers on a network of its own.
package dhcp
