// SPDX-License-Identifier: Apache-2.0

// Package store gives cache/disk file systems that are full, read-only, or without power. It mounts them, so it needs root.
package store
