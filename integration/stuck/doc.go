// SPDX-License-Identifier: Apache-2.0

// Package stuck boots machines with real iPXE that come to different ends, and wants the edge to say which: on its status
// page, on the command line and in its metrics.
package stuck
