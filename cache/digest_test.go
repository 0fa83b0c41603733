// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"strings"
	"testing"
)

// The digests of no bytes at all.
var empty = map[string]string{
	"md5":     "d41d8cd98f00b204e9800998ecf8427e",
	"sha1":    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"sha256":  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"SHA-256": "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
	"sha384":  "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
	"sha512": "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f" +
		"63b931bd47417a81a538327af927da3e",
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	for algorithm, sum := range empty {
		d, err := ParseDigest(algorithm, sum)
		if err != nil {
			t.Errorf("ParseDigest(%s) = %v", algorithm, err)
			continue
		}
		if got := d.New().Sum(nil); !bytes.Equal(got, d.Sum) {
			t.Errorf("%s of nothing is %x, want %x", algorithm, got, d.Sum)
		}
		if want := d.Algorithm + ":" + strings.ToLower(sum); d.String() != want {
			t.Errorf("String = %s, want %s", d, want)
		}
	}
}

func TestParseDigestRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ algorithm, sum, says string }{
		"unknown algorithm": {"crc32", "00000000", `"crc32"`},
		"no algorithm":      {"", empty["md5"], `""`},
		"not hexadecimal":   {"md5", "xyz", `"xyz"`},
		"short":             {"sha256", empty["md5"], "has 16 bytes, not 32"},
		"empty":             {"md5", "", "has 0 bytes, not 16"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d, err := ParseDigest(tt.algorithm, tt.sum); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("ParseDigest = %v, %v; want an error with %s", d, err, tt.says)
			}
		})
	}
	if (Digest{}).New() != nil {
		t.Error("the zero Digest has a hash")
	}
}
