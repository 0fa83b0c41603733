// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/caddymodule/handover"
)

// countingWriter counts the bytes that a client got, and chooses how they get there.
type countingWriter struct {
	http.ResponseWriter
	request  *http.Request // nil: they go as they come
	n        atomic.Int64
	failed   bool
	transfer *boots.Transfer // which looks at n
}

// WriteHeader tells the transfer what the answer holds.
func (w *countingWriter) WriteHeader(status int) {
	header := w.Header()
	w.transfer.Begin(status, header.Get("Content-Length"), header.Get("Content-Range"))
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

const (
	// smallBody is up to how many bytes are rather copied than sent from the file, for which that must be opened: the
	// reads of a machine that boots from an ISO over HTTP.
	smallBody = 32 << 10
	// sendPiece is what Caddy may hand on at once. Its own 64 KiB are so few because the deadline is for all of them,
	// which the connection's is not (handover).
	sendPiece = 4 << 20
)

// ReadFrom lets the connection below use sendfile.
func (w *countingWriter) ReadFrom(r io.Reader) (int64, error) {
	limit := int64(math.MaxInt64)
	if l, ok := r.(*io.LimitedReader); ok {
		limit = l.N
	}
	if limit <= smallBody {
		return w.copySmall(r, limit)
	}
	defer w.largerPieces(r)()
	counted := countingReader{r, &w.n, 0}
	n, err := io.Copy(w.ResponseWriter, counted.limited())
	w.n.Add(n - counted.n) // what was read and could not be written
	return n, err
}

// countingReader counts bytes on their way, so that a transfer is seen to move before its end.
type countingReader struct {
	io.Reader
	sent *atomic.Int64
	n    int64
}

// limited returns a reader that counts, in the form in which sendfile looks for files: below limits.
func (c *countingReader) limited() io.Reader {
	l, ok := c.Reader.(*io.LimitedReader)
	if !ok {
		return c
	}
	c.Reader = l.R
	if file, ok := l.R.(handover.FileSender); ok {
		return &io.LimitedReader{R: &countingFile{c, file}, N: l.N}
	}
	return &io.LimitedReader{R: c, N: l.N}
}

func (c *countingReader) add(n int64) {
	c.n += n
	c.sent.Add(n)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.add(int64(n))
	return n, err
}

// countingFile counts what is sent from a file.
type countingFile struct {
	*countingReader
	file handover.FileSender
}

// countedPiece is how much is sent at most before it is counted.
const countedPiece = 1 << 20

// SendFile sends a piece.
func (c *countingFile) SendFile(connection io.ReaderFrom, limit int64) (int64, error) {
	n, err := c.file.SendFile(connection, min(limit, countedPiece))
	c.add(n)
	return n, err
}

// largerPieces makes Caddy hand on larger pieces, where that cuts no slow client.
func (w *countingWriter) largerPieces(r io.Reader) (restore func()) {
	if w.request == nil || w.request.ProtoMajor != 1 {
		return func() {}
	}
	_, idle := caddyhttp.IdleTimeoutsFromContext(w.request.Context())
	if idle == nil || idle.Deadline.MinRate > 0 || !handover.Sends(w.request.Context(), r) {
		return func() {}
	}
	return idle.Override(idle.Deadline.Timeout, 0, sendPiece)
}

var smallBodies = sync.Pool{New: func() any { return new([smallBody]byte) }}

func (w *countingWriter) copySmall(r io.Reader, limit int64) (int64, error) {
	buffer := smallBodies.Get().(*[smallBody]byte)
	defer smallBodies.Put(buffer)
	n, readErr := io.ReadFull(r, buffer[:max(limit, 0)])
	if errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF) {
		readErr = nil // what is missing, net/http misses, too
	}
	m, err := w.writeAtOnce(buffer[:n])
	return int64(m), cmp.Or(readErr, err)
}

// writeAtOnce writes a small body together with the answer's header.
func (w *countingWriter) writeAtOnce(p []byte) (n int, err error) {
	if w.request != nil && w.request.ProtoMajor == 1 {
		gathered := handover.Gather(w.request.Context())
		defer func() { err = cmp.Or(err, gathered.Write()) }()
	}
	return w.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
