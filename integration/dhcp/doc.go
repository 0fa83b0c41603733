// SPDX-License-Identifier: Apache-2.0

// Package dhcp hands what `ironic-edge dhcp-snippet` prints to the DHCP servers that it is for.
package dhcp
