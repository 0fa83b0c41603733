// SPDX-License-Identifier: Apache-2.0

// Package images boots virtual machines whose images come from the edge's store: over a line that breaks, from a drive
// over HTTP, and by the HTTP Boot of UEFI firmware.
package images
