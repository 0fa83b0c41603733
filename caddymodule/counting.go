// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/ironic-edge/ironic-edge/caddymodule/handover"
)

// countingWriter counts the bytes that a client got, and chooses how they get there.
type countingWriter struct {
	http.ResponseWriter
	request *http.Request // nil: they go as they come
	n       int64
	failed  bool
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
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
	n, err := io.Copy(w.ResponseWriter, r)
	w.n += n
	return n, err
}

// largerPieces makes Caddy hand on larger pieces, where that cuts no slow client.
func (w *countingWriter) largerPieces(r io.Reader) (restore func()) {
	if w.request == nil || w.request.ProtoMajor != 1 {
		return func() {}
	}
	connection, _ := w.request.Context().Value(caddyhttp.ConnCtxKey).(net.Conn)
	_, idle := caddyhttp.IdleTimeoutsFromContext(w.request.Context())
	if idle == nil || idle.Deadline.MinRate > 0 || !handover.Sends(connection, r) {
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
	m, err := w.Write(buffer[:n])
	return int64(m), errors.Join(readErr, err)
}

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
