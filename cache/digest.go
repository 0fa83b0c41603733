// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"crypto/md5"  //nolint:gosec // Glance's checksum, which tells a broken image from a whole one and no more
	"crypto/sha1" //nolint:gosec // what a Glance of that configuration has for os_hash_value
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Digest is what the bytes of a whole representation must hash to. The zero Digest says nothing.
type Digest struct {
	Algorithm string `json:"algorithm"` // as Glance spells it: md5, sha1, sha256, sha384 or sha512
	Sum       []byte `json:"sum"`
}

// ParseDigest reads a digest in hexadecimal. The algorithm may be spelled as Glance does (os_hash_algo: sha256) or as
// IANA's registry does (RFC 9530 section 7.2: sha-256), in any case.
func ParseDigest(algorithm, sum string) (Digest, error) {
	d := Digest{Algorithm: strings.Replace(strings.ToLower(algorithm), "sha-", "sha", 1)}
	h := d.New()
	if h == nil {
		return Digest{}, fmt.Errorf("digest algorithm %q is none of md5, sha1, sha256, sha384 and sha512", algorithm)
	}
	var err error
	if d.Sum, err = hex.DecodeString(sum); err != nil {
		return Digest{}, fmt.Errorf("%s digest %q is not hexadecimal", d.Algorithm, sum)
	}
	if len(d.Sum) != h.Size() {
		return Digest{}, fmt.Errorf("%s digest %q has %d bytes, not %d", d.Algorithm, sum, len(d.Sum), h.Size())
	}
	return d, nil
}

// New returns the hash whose sum is to be compared with, nil if the algorithm is not known.
func (d Digest) New() hash.Hash {
	switch d.Algorithm {
	case "md5":
		return md5.New() //nolint:gosec // see the import
	case "sha1":
		return sha1.New() //nolint:gosec // see the import
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// String is the algorithm, a colon and the sum in hexadecimal, which is how OCI writes it.
func (d Digest) String() string { return d.Algorithm + ":" + hex.EncodeToString(d.Sum) }
