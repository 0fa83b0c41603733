// SPDX-License-Identifier: Apache-2.0

// Package rack is an edge with a status page before a stand-in Ironic, with machines that boot with real iPXE, and a web
// server whose images stand still, reset the machine or are as they should be.
package rack
