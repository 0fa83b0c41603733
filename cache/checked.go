// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"errors"
	"hash"
	"io"
)

// ErrDigest is the end of a body that does not match its digest.
var ErrDigest = errors.New("the bytes do not match their digest")

// Checked reads a representation to its end, and gives out the last of its bytes only when all of them have matched the
// digest: whoever gets all of it has the right one. It is for one goroutine.
type Checked struct {
	from     io.Reader
	digest   Digest
	sum      hash.Hash
	buffers  [2][]byte
	turn     int
	ready    []byte // to be given out, in one buffer
	withheld []byte // may be the last, in the other
	err      error
}

// checkedPiece is how much is read at once, and so the most that is withheld.
const checkedPiece = 32 << 10

// NewChecked returns a reader of what from has. The hash is of the digest's algorithm and has had what comes before; nil:
// nothing does. A digest of an unknown algorithm matches nothing.
func NewChecked(from io.Reader, digest Digest, before hash.Hash) *Checked {
	if before == nil {
		before = digest.New()
	}
	return &Checked{from: from, digest: digest, sum: before}
}

// Read gives out what cannot be the end, or is known to be right. A body that does not match ends with ErrDigest.
func (c *Checked) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.ready) == 0 {
		switch {
		case c.err == io.EOF && len(c.withheld) > 0:
			c.ready, c.withheld = c.withheld, nil
		case c.err != nil:
			return 0, c.err
		default:
			c.err = c.advance()
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// advance reads on, when nothing is ready. The error io.EOF says that all was right.
func (c *Checked) advance() error {
	if c.sum == nil {
		return ErrDigest
	}
	if c.buffers[c.turn] == nil {
		c.buffers[c.turn] = make([]byte, checkedPiece)
	}
	n, err := c.from.Read(c.buffers[c.turn])
	if n > 0 {
		c.sum.Write(c.buffers[c.turn][:n])
		c.ready, c.withheld = c.withheld, c.buffers[c.turn][:n]
		c.turn = 1 - c.turn
	}
	if errors.Is(err, io.EOF) && !bytes.Equal(c.sum.Sum(nil), c.digest.Sum) {
		return ErrDigest
	}
	return err
}
