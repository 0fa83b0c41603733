// SPDX-License-Identifier: Apache-2.0

// Package memory holds the binary to the memory that it may take, however large images are and however many read them.
package memory
