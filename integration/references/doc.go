// SPDX-License-Identifier: Apache-2.0

// Package references follows images' references into a real Glance and a real OCI registry: those of Debian 12, on
// loopback.
package references
