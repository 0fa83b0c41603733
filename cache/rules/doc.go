// SPDX-License-Identifier: Apache-2.0

// Package rules decides what a shared HTTP cache may do: what it may keep (RFC 9111 section 3), whether what it kept
// answers a request (section 4), what a revalidation asks and changes (section 4.3), and what an unsafe method
// invalidates (section 4.4). Beside RFC 9111 it follows RFC 9110 for validators and preconditions, RFC 5861 for stale
// answers and RFC 9213 for CDN-Cache-Control, which wins over Cache-Control and Expires.
//
// All of it is pure: headers and times come in as values, decisions go out. There is no clock, no store and no I/O
// here, and nothing is kept between calls, so every function may be called by many goroutines at once. Headers that
// are passed in are read only; those that are returned belong to the caller.
//
// In the order in which a cache meets them:
//
//   - [Variant.Matches] and [Choose]: which of the answers kept for a URI is for this request
//   - [Policy.Decide]: whether that answer may be used, now or if the origin fails
//   - [Evaluate]: what the client's own conditions make of it, and [Response.Served], the header that it gets
//   - [Forward] and [Revalidation]: what the origin is asked
//   - [Storable] and [Response.Stored]: whether its answer is kept, and what of it
//   - [Confirmed], [Response.Updated] and [Response.UpdatedByHead]: what a 304 or an answer to a HEAD changes
//   - [Invalidated]: what an unsafe request makes worthless
//
// What a cache may do and this one never does: it sends no Warning (RFC 9111 section 5.5 retired it), obeys no
// Surrogate-Control, which is for those who announce themselves by Surrogate-Capability, and never answers with 412,
// since If-Match and If-Unmodified-Since are for origins (RFC 9111 section 4.3.2).
package rules
