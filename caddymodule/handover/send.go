// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"errors"
	"io"
	"net"
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
func sendFrom(tcp *net.TCPConn, r io.Reader) (int64, error) {
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
			n, err := tcp.ReadFrom(r)
			return sent + n, err
		case err != nil:
			return sent, err
		}
	}
}

// patient is a connection whose write deadline begins when there is something to write. The one that Caddy sets begins
// when it asks for bytes: a client must not be cut because the line to an origin was slow.
type patient struct{ *net.TCPConn }

// writeTimeout is how long a client may take no bytes, as Caddy's default for write_idle.
const writeTimeout = time.Minute

func (p patient) ReadFrom(r io.Reader) (int64, error) {
	if err := p.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return p.TCPConn.ReadFrom(r)
}
