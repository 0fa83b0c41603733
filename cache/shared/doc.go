// SPDX-License-Identifier: Apache-2.0

// Package shared is a shared HTTP cache (RFC 9111) whose objects are in a disk.Store. It decides by the package rules,
// asks an Upstream, and answers clients with any range of an object that is whole or still growing.
//
// One question is put to an origin for all who ask the same at once. An origin that does not answer, or fails, is stood
// in for by what is kept, for as long as the policy allows. What may not be kept, or does not fit, is passed through.
//
// # A request's way
//
// Cache.Serve chooses the kept answer and judges it. If it may be used, answer gives it out. If not, ask puts the
// question to the origin (fetch.go), once for all who wait, and what comes back is kept (keep.go) and given out, or
// passed through (pass.go).
package shared
