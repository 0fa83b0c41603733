// SPDX-License-Identifier: Apache-2.0

// Package disk keeps objects, the bytes of images, in a directory: whole ones for weeks, growing ones while they are
// filled, and any byte of either as soon as it is there.
//
// An object is made once for one content. Several keys may lead to it. Its fill belongs to the store: it goes on when
// every client has left, resumes a broken line where it stopped, and asks for what a client waits for first. A client
// that reads what is not there yet waits for it (Object.Await).
//
// What is promised:
//
//   - no byte is given out that is not the origin's: a block is seen only when it is complete, every block has a
//     checksum, a fill whose origin changes its mind ends, and the last block of an object with a digest is withheld
//     until the digest is right
//   - what is on disk survives kill -9 at any instant: an object is whole when its sidecar says so, which is written
//     last; the blocks of others are checked again before they are used
//   - the store does not grow beyond its limit, nor the file system's free space fall below its floor; objects cost a unit
//     each at least, and their number is bounded
//
// # On disk
//
// Format 1. Below objects/<first two digits of the id>/ an object has three files: <id>, its bytes, sparse; <id>.sums,
// eight bytes for each block, a CRC-32C and the complement of it, zero for a block that is not there; and <id>.json, the
// sidecar (sidecar), which ends with a CRC-32C of what stands before it. Its modification time is when the object was last used. Bad objects are moved to quarantine/. The
// file lock is locked by the process that has the store.
//
// # Locks
//
// Store.mu is taken before Object.mu, never the other way round. Neither is held during I/O: that is done under
// Object.saving, Object.opening and fill.digesting, which are taken before them and never within each other.
package disk
