// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"fmt"
	"io"

	"github.com/ironic-edge/ironic-edge/cache"
)

// through reads an origin's representation from anywhere, without keeping it.
type through struct {
	ctx       context.Context
	origin    cache.Origin
	validator cache.Validator
	size      int64 // -1: not known; then it is read front to back
	part      *cache.Part
	at        int64 // of the part's body
	pos       int64
	err       error // other than io.EOF
}

func newThrough(ctx context.Context, origin cache.Origin, part *cache.Part) *through {
	return &through{ctx: ctx, origin: origin, validator: part.Validator, size: part.Size, part: part, at: part.First}
}

// Close closes what is open.
func (t *through) Close() error {
	if t.part == nil {
		return nil
	}
	err := t.part.Body.Close()
	t.part = nil
	return err
}

// Seek sets where the next byte is read from.
func (t *through) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += t.pos
	case io.SeekEnd:
		offset += t.size
	}
	if offset < 0 {
		return t.pos, fmt.Errorf("seek to %d", offset)
	}
	t.pos = offset
	return offset, nil
}

// Read reads from the part that is open, or another one.
func (t *through) Read(p []byte) (int, error) {
	if t.size >= 0 && t.pos >= t.size {
		return 0, io.EOF
	}
	if err := t.open(); err != nil {
		t.err = err
		return 0, err
	}
	n, err := t.part.Body.Read(p)
	t.pos += int64(n)
	t.at = t.pos
	switch {
	case err == io.EOF && t.size < 0:
		return n, err
	case err == io.EOF && n == 0 && t.part.Length >= 0 && t.at < t.part.First+t.part.Length:
		t.err = io.ErrUnexpectedEOF
		return 0, t.err
	case err == io.EOF: // the end of the part
		_ = t.Close()
		return n, nil
	case err != nil:
		t.err = err
	}
	return n, err
}

// open has a part whose next byte is the one at pos.
func (t *through) open() error {
	if t.part != nil && t.at == t.pos {
		return nil
	}
	if t.part != nil && t.at < t.pos && t.pos-t.at < 64<<10 {
		_, err := io.CopyN(io.Discard, t.part.Body, t.pos-t.at)
		t.at = t.pos
		return err
	}
	_ = t.Close()
	part, err := t.origin.Open(t.ctx, cache.Ask{First: t.pos, Same: t.validator})
	if err != nil {
		return err
	}
	t.part, t.at = part, part.First
	if part.First > t.pos || t.size >= 0 && part.Size >= 0 && part.Size != t.size {
		return &cache.ChangedError{}
	}
	_, err = io.CopyN(io.Discard, part.Body, t.pos-part.First)
	t.at = t.pos
	return err
}

// ownedBody is a body whose context ends with it.
type ownedBody struct {
	io.ReadCloser
	end func()
}

// Close closes the body and ends its context.
func (b *ownedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
