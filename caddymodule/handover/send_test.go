// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sentFile sends a file in pieces of seven bytes, up to a point from which it can only be read.
type sentFile struct {
	*os.File
	pos, sendable int64
	pieces        int
}

func (s *sentFile) SendFile(connection io.ReaderFrom, limit int64) (int64, error) {
	if s.pos >= s.sendable {
		return 0, errors.ErrUnsupported
	}
	s.pieces++
	n, err := connection.ReadFrom(&io.LimitedReader{R: s.File, N: min(limit, 7, s.sendable-s.pos)})
	s.pos += n
	return n, err
}

func TestSendFrom(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 30)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sendable := range []int64{0, 50, 300} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sent := &sentFile{File: file, sendable: sendable}
		outer := &io.LimitedReader{R: &io.LimitedReader{R: sent, N: 200}, N: 250}
		n, err := (&conn{TCPConn: server.(*net.TCPConn)}).ReadFrom(outer)
		server.Close()
		got, _ := io.ReadAll(client)
		if err != nil || n != 200 || !bytes.Equal(got, content[:200]) || outer.N != 50 {
			t.Errorf("%d bytes of 200, %v; %d left of the outer limit, want 50: %q", n, err, outer.N, got)
		}
		if wanted := int(min(sendable, 200)+6) / 7; sent.pieces != wanted {
			t.Errorf("%d pieces are sent, want %d", sent.pieces, wanted)
		}
	}
}

// TestSlowClient has a client that takes a byte in each deadline's time, and one that takes none.
func TestSlowClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, taken := range []int64{1, 0} {
		calls := int64(0)
		n, err := patient{client.(*net.TCPConn)}.insist(func() (int64, error) {
			if calls++; calls == 5 {
				return 1, nil
			}
			return taken, os.ErrDeadlineExceeded
		})
		if taken == 1 && (n != 5 || err != nil) {
			t.Errorf("a slow client is cut after %d bytes: %v", n, err)
		}
		if taken == 0 && (calls != 1 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			t.Errorf("a dead client is waited for: %d calls, %v", calls, err)
		}
	}
}

// deadlineConn remembers the write deadline.
type deadlineConn struct {
	*net.TCPConn
	last time.Time
}

func (c *deadlineConn) SetWriteDeadline(t time.Time) error {
	c.last = t
	return c.TCPConn.SetWriteDeadline(t)
}

// TestDeadlineEndsWithTheFile is about a server without a write timeout, which takes back no deadline: the next answer, on
// a connection that was kept for longer than writeTimeout, could not be written.
func TestDeadlineEndsWithTheFile(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(100); err != nil {
		t.Fatal(err)
	}
	for _, sendable := range []int64{0, 50, 100} {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		c := &deadlineConn{TCPConn: client.(*net.TCPConn)}
		sent := &sentFile{File: file, sendable: sendable}
		if n, err := sendFrom(c, &io.LimitedReader{R: sent, N: 100}); n != 100 || err != nil {
			t.Errorf("%d bytes are sent, %v; want 100", n, err)
		}
		if !c.last.IsZero() {
			t.Errorf("after %d bytes by sendfile a deadline is left, in %v", sendable, time.Until(c.last))
		}
	}
}
