// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Reader reads an object, whole or growing, from anywhere. It waits for what is not there yet, as long as its context
// lasts, and never says that the object ends where it does not. It is for one goroutine.
type Reader struct {
	ctx    context.Context
	o      *Object
	pos    int64
	file   *os.File    // of its own, with its own position, for SendFile
	direct *cache.Part // from the origin, where the store has no more
	at     int64       // position of direct
	err    error
}

// NewReader returns a reader of an object. It uses the object until Close, which releases it.
func NewReader(ctx context.Context, o *Object) *Reader { return &Reader{ctx: ctx, o: o} }

// Close ends the reader and releases the object.
func (r *Reader) Close() error {
	if r.file != nil {
		_ = r.file.Close()
	}
	r.closeDirect()
	r.o.Release()
	return nil
}

func (r *Reader) closeDirect() {
	if r.direct != nil {
		_ = r.direct.Body.Close()
		r.direct = nil
	}
}

// Err is why bytes could not be read, nil if they all could.
func (r *Reader) Err() error { return r.err }

// Seek sets where the next byte is read from. To seek from the end, the object's length must be known.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		size := r.o.Size()
		if size < 0 {
			return r.pos, errors.New("the object's length is not known")
		}
		offset += size
	}
	if offset < 0 {
		return r.pos, fmt.Errorf("seek to %d", offset)
	}
	r.pos = offset
	return offset, nil
}

// Read reads what is there, at least a byte.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func (r *Reader) read(p []byte) (int, error) {
	n, err := r.o.Await(r.ctx, r.pos, int64(len(p)))
	if errors.Is(err, ErrNotStored) {
		return r.readDirect(p)
	}
	if err != nil {
		return 0, err
	}
	m, err := r.o.ReadAt(p[:n], r.pos)
	r.pos += int64(m)
	if err == io.EOF { // the file is shorter than what was written into it
		err = io.ErrUnexpectedEOF
	}
	return m, err
}

// readDirect reads from the origin.
func (r *Reader) readDirect(p []byte) (int, error) {
	size := r.o.Size()
	if r.direct == nil || r.at != r.pos {
		r.closeDirect()
		part, err := r.o.origin.Open(r.ctx, cache.Ask{First: r.pos, Same: r.o.validator})
		if err != nil {
			return 0, err
		}
		if part.First > r.pos || part.Size >= 0 && size >= 0 && part.Size != size {
			_ = part.Body.Close()
			return 0, ErrChanged
		}
		r.direct, r.at = part, r.pos
		if _, err := io.CopyN(io.Discard, part.Body, r.pos-part.First); err != nil {
			return 0, err
		}
	}
	if size >= 0 {
		p = p[:min(int64(len(p)), size-r.pos)]
	}
	n, err := r.direct.Body.Read(p)
	r.pos += int64(n)
	r.at = r.pos
	if err == io.EOF && r.pos < size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// SendFile writes at most limit bytes to a connection, by sendfile if it can. It returns after a piece, at the latest at
// the end of what is there now. The error errors.ErrUnsupported means that the next bytes can only be read.
func (r *Reader) SendFile(connection io.ReaderFrom, limit int64) (int64, error) {
	n, err := r.o.Await(r.ctx, r.pos, limit)
	switch {
	case errors.Is(err, ErrNotStored):
		return 0, errors.ErrUnsupported
	case err == io.EOF:
		return 0, err
	case err != nil:
		r.err = err
		return 0, err
	}
	if r.file == nil {
		if r.file, err = r.o.store.root.Open(dataPath(r.o.id)); err != nil {
			return 0, errors.ErrUnsupported // it was removed; Read has it open
		}
	}
	if _, err := r.file.Seek(r.pos, io.SeekStart); err != nil {
		return 0, err
	}
	n, err = connection.ReadFrom(&io.LimitedReader{R: r.file, N: n})
	r.pos += n
	return n, err
}
