// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Digest is what the bytes of an object must hash to.
type Digest struct {
	Algorithm string // as Glance's os_hash_algo spells it: sha256, sha512 ...
	Sum       []byte
}

var algorithms = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// ParseDigest returns the digest of an algorithm and a sum in hexadecimal.
func ParseDigest(algorithm, sum string) (*Digest, error) {
	algorithm = strings.ToLower(algorithm)
	make, ok := algorithms[algorithm]
	if !ok {
		return nil, fmt.Errorf("digest algorithm %q; give one of md5, sha1, sha256, sha384, sha512", algorithm)
	}
	b, err := hex.DecodeString(sum)
	if err != nil || len(b) != make().Size() {
		return nil, fmt.Errorf("%q is no %s sum; give %d hexadecimal digits", sum, algorithm, 2*make().Size())
	}
	return &Digest{algorithm, b}, nil
}

// New returns the hash that is to give the digest's sum.
func (d *Digest) New() hash.Hash { return algorithms[d.Algorithm]() }

// String is the digest as algorithm:hexadecimal.
func (d *Digest) String() string { return d.Algorithm + ":" + hex.EncodeToString(d.Sum) }
