// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// FileSender is a reader whose bytes are in a file. SendFile gives at most limit of them to a connection, as a limited
// *os.File, which is what net's sendfile wants; it may give less. Its error is errors.ErrUnsupported when the next bytes
// can only be read.
type FileSender interface {
	io.Reader
	SendFile(connection io.ReaderFrom, limit int64) (int64, error)
}

// sendFrom writes to a connection what r reads. A FileSender is found below any number of limits: Caddy and net/http each
// put one around what a handler gives them, and net looks through one only.
func sendFrom(tcp connection, r io.Reader) (int64, error) {
	var limits []*io.LimitedReader
	inner := r
	for {
		l, ok := inner.(*io.LimitedReader)
		if !ok {
			break
		}
		limits, inner = append(limits, l), l.R
	}
	sender, ok := inner.(FileSender)
	if !ok || len(limits) == 0 {
		return tcp.ReadFrom(r)
	}
	// The next answer on the connection is for another handler to write, which may set no deadline of its own.
	defer func() { _ = tcp.SetWriteDeadline(time.Time{}) }()
	sent := int64(0)
	for {
		limit := limits[0].N
		for _, l := range limits[1:] {
			limit = min(limit, l.N)
		}
		if limit <= 0 {
			return sent, nil
		}
		n, err := sender.SendFile(patient{tcp}, limit)
		sent += n
		for _, l := range limits {
			l.N -= n
		}
		switch {
		case err == io.EOF:
			return sent, nil
		case errors.Is(err, errors.ErrUnsupported):
			n, err := patient{tcp}.copy(r)
			return sent + n, err
		case err != nil:
			return sent, err
		}
	}
}

// Sends reports whether a request's connection gives out what r reads by SendFile. It then minds its own write deadline.
func Sends(ctx context.Context, r io.Reader) bool {
	for l, ok := r.(*io.LimitedReader); ok; l, ok = r.(*io.LimitedReader) {
		r = l.R
	}
	_, file := r.(FileSender)
	return file && connOf(ctx) != nil
}

// connection is what of a *net.TCPConn is needed here.
type connection interface {
	io.Writer
	io.ReaderFrom
	SetWriteDeadline(time.Time) error
}

// patient is a connection whose write deadline begins when there is something to write, and anew whenever the client has
// taken some of it. The one that Caddy sets begins when it asks for bytes, and is for all of them: a client must not be
// cut because the line to an origin was slow, nor because it is slow itself.
type patient struct{ connection }

// writeTimeout is how long a client may take no bytes, as Caddy's default for write_idle.
const writeTimeout = time.Minute

// ReadFrom writes what a limited file has.
func (p patient) ReadFrom(r io.Reader) (int64, error) {
	return p.insist(func() (int64, error) { return p.connection.ReadFrom(r) })
}

// insist writes until it is done or nothing has moved for writeTimeout. Each call of write goes on where the last one
// stopped.
func (p patient) insist(write func() (int64, error)) (int64, error) {
	for total := int64(0); ; {
		if err := p.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return total, err
		}
		n, err := write()
		total += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return total, err
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// copy writes what can only be read.
func (p patient) copy(r io.Reader) (int64, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for total := int64(0); ; {
		n, err := r.Read(*buffer)
		rest := (*buffer)[:n]
		written, writeErr := p.insist(func() (int64, error) {
			m, err := p.Write(rest)
			rest = rest[m:]
			return int64(m), err
		})
		total += written
		switch {
		case writeErr != nil:
			return total, writeErr
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}
