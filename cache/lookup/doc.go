// SPDX-License-Identifier: Apache-2.0

// Package lookup remembers answers for seconds: a bounded number of them, in memory, each with its own time of birth.
//
// Ristretto holds the values and decides which to let go; it may drop any at any time. Whether one is fresh is decided
// here, by a timestamp inside the value. Questions for the same key are coalesced; an answer that is asked for in the
// last quarter of its life is renewed in the background; answers of the kind "there is no such thing" are kept for a
// shorter time. What has been forgotten is not used again, even if a fill that began before that brings it back.
package lookup
