// SPDX-License-Identifier: Apache-2.0

// Package origin asks HTTP servers for the bytes that a cache keeps, and believes none of them.
//
// A Client is the way to all origins: its connections, the list of those that may be asked, and the line that all
// transfers share. A Source is one URL and implements cache.Origin; a Blob is one reference into an OCI registry and does,
// too; Known is for what has a digest beforehand. They promise of every Part that
//
//   - its bytes are of the place that was asked for, or of the whole representation, and the part says which;
//   - its body ends with an error when it ends early, and when no byte has come for a while;
//   - it is of the representation that was asked for, as far as validators can tell;
//   - nobody on the way has encoded it, unless the client takes that, and, if it is told to look, it is no web page that
//     stands in for it.
//
// An answer of which that cannot be said is a *cache.OriginError. Redirects are followed here, since UEFI firmware does
// not, and only to origins that are allowed; credentials do not go with them. No error's text holds a query or a
// password: in a signed URL the query is the whole secret.
//
// The package keeps nothing but the tokens of registries and what their manifests say, which never changes. It decides
// nothing about freshness, and tries nothing twice but a range of what turns out to be empty, what a registry wants another
// token for, and what net/http repeats because a kept connection had been closed meanwhile. What the configuration names is
// a matter of names, and may be anywhere. Of other origins it looks at the address that it connects to, too: one in a private
// network is the usual case, but this machine and its own link are not for them (AddressError).
package origin
