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
	begun  bool        // bytes were given out
	direct *cache.Part // from the origin, where the store has no more
	at     int64       // position of direct
	end    *end        // of an object with a digest, from the origin
	next   int64       // position after the last bytes that were given out
	jumped bool        // they were not all bytes from the first
	err    error
}

// NewReader returns a reader of an object. It uses the object until Close, which releases it.
func NewReader(ctx context.Context, o *Object) *Reader { return &Reader{ctx: ctx, o: o} }

// Close ends the reader and releases the object.
func (r *Reader) Close() error {
	if r.file != nil {
		_ = r.file.Close()
	}
	r.end.close()
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
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		size := r.o.Size()
		if size < 0 {
			return r.pos, errors.New("the object's length is not known")
		}
		offset += size
	default:
		return r.pos, fmt.Errorf("seek from %d", whence)
	}
	if offset < 0 {
		return r.pos, fmt.Errorf("seek to %d", offset)
	}
	if offset != r.pos {
		r.end.close()
		r.end = nil
	}
	r.pos = offset
	return offset, nil
}

// Read reads what is there, at least a byte.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.jumped = r.jumped || r.pos != r.next
	n, err := r.read(p)
	r.next = r.pos
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func (r *Reader) read(p []byte) (int, error) {
	if r.end != nil {
		return r.readEnd(p)
	}
	n, err := r.o.Await(r.ctx, r.pos, int64(len(p)))
	if errors.Is(err, ErrNotStored) {
		if r.o.digest != nil && !r.jumped {
			return r.readEnd(p)
		}
		return r.readDirect(p)
	}
	if err != nil {
		return 0, err
	}
	m, err := r.o.ReadAt(p[:n], r.pos)
	r.pos += int64(m)
	r.begun = r.begun || m > 0
	if err == io.EOF { // the file is shorter than what was written into it
		err = io.ErrUnexpectedEOF
	}
	return m, err
}

// readDirect reads from the origin.
func (r *Reader) readDirect(p []byte) (int, error) {
	fresh := r.direct == nil || r.at != r.pos
	if fresh {
		if err := r.openDirect(); err != nil {
			return 0, err
		}
	}
	size := r.o.Size()
	if size < 0 {
		size = r.direct.Size
	}
	if size >= 0 {
		if r.pos >= size {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), size-r.pos)]
	}
	n, err := r.direct.Body.Read(p)
	r.pos += int64(n)
	r.at = r.pos
	r.begun = r.begun || n > 0
	if err == nil || n > 0 && err == io.EOF {
		return n, nil
	}
	whole := size < 0 && r.direct.Length < 0 || r.pos == size
	if err == io.EOF && whole {
		return n, io.EOF
	}
	r.closeDirect()
	switch {
	case err == io.EOF && fresh: // nothing came, and would not the next time
		return n, io.ErrUnexpectedEOF
	case err == io.EOF: // less than was asked for
		return r.readDirect(p)
	}
	return n, err
}

// openDirect asks the origin for what follows. An origin that cannot say that it is of the same representation is asked
// for the first byte only: a reader gets one representation.
func (r *Reader) openDirect() error {
	r.closeDirect()
	o := r.o
	if r.begun && !o.validator.Strong() {
		return ErrNotStored
	}
	o.mu.Lock()
	origin, size := o.origin, o.size
	o.mu.Unlock()
	part, err := origin.Open(r.ctx, cache.Ask{First: r.pos, Same: o.validator})
	if changed := (*cache.ChangedError)(nil); errors.As(err, &changed) {
		if changed.Part != nil {
			_ = changed.Part.Body.Close()
		}
		return ErrChanged
	}
	if err != nil {
		return err
	}
	r.direct, r.at = part, r.pos
	if part.First > r.pos || part.Size >= 0 && size >= 0 && part.Size != size || contradict(part.Validator, o.validator) {
		err = ErrChanged
	} else if _, err = io.CopyN(io.Discard, part.Body, r.pos-part.First); err != nil {
		err = unexpected(err)
	}
	if err != nil {
		r.closeDirect()
	}
	return err
}

// SendFile writes at most limit bytes to a connection, by sendfile if it can. It returns after a piece, at the latest at
// the end of what is there now. The error errors.ErrUnsupported means that the next bytes can only be read.
func (r *Reader) SendFile(connection io.ReaderFrom, limit int64) (int64, error) {
	if r.end != nil {
		return 0, errors.ErrUnsupported
	}
	r.jumped = r.jumped || r.pos != r.next
	want, err := r.o.Await(r.ctx, r.pos, limit)
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
	n, err := connection.ReadFrom(&io.LimitedReader{R: r.file, N: want})
	r.pos += n
	r.next = r.pos
	r.begun = r.begun || n > 0
	if err == nil && n < want { // the file is shorter than what was written into it
		err = io.ErrUnexpectedEOF
		r.err = err
	}
	return n, err
}
