// SPDX-License-Identifier: Apache-2.0

// Package conformance runs the corpus of package ipxetest in real iPXE, on a BIOS and a UEFI machine, and compares what
// both do. What a script does is seen from the requests that it makes: their order, their paths, how long it waits
// between them, and the error number with which it ends. Real iPXE decides: where they differ, ipxetest is wrong.
package conformance
