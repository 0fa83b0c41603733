// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestGather has an answer's header and the pieces of its body arrive together, and what does not fit arrive, too.
func TestGather(t *testing.T) {
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
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := &conn{TCPConn: accepted.(*net.TCPConn)}
	defer server.Close()
	ctx := ConnContext(t.Context(), server)
	if ctx != ConnContext(ctx, server) || ConnContext(t.Context(), accepted) != t.Context() {
		t.Error("a context has a connection twice, or one that is not ours")
	}
	for _, size := range []int{0, 1000, 60 << 10, 200 << 10} {
		header, body := bytes.Repeat([]byte("h"), 100), bytes.Repeat([]byte("b"), size)
		gathered := Gather(ctx)
		if inner := Gather(ctx); inner != (Gathered{}) {
			t.Error("what is gathered is gathered again")
		}
		if _, err := server.Write(header); err != nil {
			t.Fatal(err)
		}
		if err := client.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d bytes of the header arrive before its body: %v", n, err)
		}
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() {
			_, err := server.Write(body)
			sent <- errors.Join(err, gathered.Write())
		}()
		got := make([]byte, len(header)+size)
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, append(header, body...)) {
			t.Fatalf("%d bytes and a header arrive as others: %v", size, err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Errorf("after what was gathered nothing arrives: %v", err)
	}
}
