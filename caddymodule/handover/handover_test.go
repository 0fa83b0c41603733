// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// listen opens a listener as Caddy does, at an address that others may listen at, too.
func listen(t *testing.T, address string) *listener {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	ln, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := (&Wrapper{zap.NewNop()}).WrapListener(ln).(*listener)
	if !ok {
		t.Fatal("a TCP listener is left as it is")
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// named answers each request with a name.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) }
}

// serve runs a server. The connections' states are reported to states, if there is one.
func serve(t *testing.T, l net.Listener, handler http.Handler, states chan<- http.ConnState) *http.Server {
	t.Helper()
	server := &http.Server{Handler: handler}
	if states != nil {
		server.ConnState = func(_ net.Conn, s http.ConnState) { states <- s }
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return server
}

func dial(t *testing.T, l *listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a request and returns who answered, or the error.
func ask(c net.Conn, method string) (string, error) {
	if _, err := fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: edge\r\nContent-Length: 0\r\n\r\n", method); err != nil {
		return "", err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

func wantAnswer(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got, err := ask(c, "GET"); got != want || err != nil {
		t.Errorf("answered by %q, %v; want %q", got, err, want)
	}
}

func TestNewConnectionsGoToTheNewest(t *testing.T) {
	old := listen(t, "127.0.0.1:0")
	serve(t, old, named("old"), nil)
	serve(t, listen(t, old.address), named("new"), nil)
	for range 50 {
		wantAnswer(t, dial(t, old), "new")
	}
}

func TestQueueIsHandedOver(t *testing.T) {
	old := listen(t, "127.0.0.1:0")
	waiting := []net.Conn{dial(t, old), dial(t, old), dial(t, old)} // nobody accepts
	serve(t, listen(t, old.address), named("new"), nil)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range waiting {
		wantAnswer(t, c, "new")
	}
}

// TestFailedReload is about a configuration that listens and is then given up because of another part of it.
func TestFailedReload(t *testing.T) {
	old := listen(t, "127.0.0.1:0")
	serve(t, old, named("old"), nil)
	failed := listen(t, old.address)
	waiting := dial(t, old)
	if err := failed.Close(); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, waiting, "old")
	for range 20 {
		wantAnswer(t, dial(t, old), "old")
	}
}

// shutdown has a server with one new connection begin to shut down, and returns the connection.
func shutdown(t *testing.T) net.Conn {
	t.Helper()
	old := listen(t, "127.0.0.1:0")
	states := make(chan http.ConnState, 16)
	server := serve(t, old, named("old"), states)
	c := dial(t, old)
	if s := <-states; s != http.StateNew {
		t.Fatalf("the connection is %v", s)
	}
	serve(t, listen(t, old.address), named("new"), nil)
	begun, ended := make(chan struct{}), make(chan struct{})
	server.RegisterOnShutdown(func() { close(begun) })
	go func() {
		defer close(ended)
		_ = server.Shutdown(context.Background())
	}()
	t.Cleanup(func() { <-ended })
	<-begun
	return c
}

func TestRequestReadInShutdownIsHandedOver(t *testing.T) {
	c := shutdown(t)
	wantAnswer(t, c, "new")
	wantAnswer(t, c, "new") // and the connection is kept
}

func TestChangeIsNotRepeated(t *testing.T) {
	if who, err := ask(shutdown(t), "POST"); err == nil {
		t.Errorf("a POST that may have been acted upon is answered by %q", who)
	}
}

// TestAbortedAnswerIsNotRepeatedForEver is about a handler that gives up, on both sides of a reload.
func TestAbortedAnswerIsNotRepeatedForEver(t *testing.T) {
	var calls atomic.Int32
	abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	})
	old := listen(t, "127.0.0.1:0")
	serve(t, old, abort, nil)
	c := dial(t, old)
	serve(t, listen(t, old.address), abort, nil)
	if who, err := ask(c, "GET"); err == nil || calls.Load() > 2 {
		t.Errorf("%d calls, answered by %q, want an end without an answer", calls.Load(), who)
	}
}

func TestWrapperLeavesOthers(t *testing.T) {
	inner, err := net.Listen("unix", t.TempDir()+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	if got := (&Wrapper{zap.NewNop()}).WrapListener(inner); got != inner {
		t.Errorf("a Unix socket becomes a %T", got)
	}
}

// TestCaddysListener fails when Caddy's own listener is built in another way than tcpListener knows.
func TestCaddysListener(t *testing.T) {
	address, err := caddy.ParseNetworkAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := address.Listen(t.Context(), 0, net.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.(net.Listener).Close()
	if tcpListener(ln.(net.Listener)) == nil {
		t.Errorf("no TCP listener is found inside of a %T", ln)
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	if err := new(Wrapper).UnmarshalCaddyfile(caddyfile.NewTestDispenser("ironic_edge")); err != nil {
		t.Error(err)
	}
	if err := new(Wrapper).UnmarshalCaddyfile(caddyfile.NewTestDispenser("ironic_edge 5s")); err == nil {
		t.Error("an option is taken")
	}
}

// TestHandedOverIsGone is about a server that closes a connection twice, as net/http does when it is closed itself while a
// connection's own goroutine ends: by then the connection is another server's.
func TestHandedOverIsGone(t *testing.T) {
	old := listen(t, "127.0.0.1:0")
	client := dial(t, old)
	accepted, err := old.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(client, "GET / HTTP/1.1\r\nHost: edge\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 256)); err != nil {
		t.Fatal(err)
	}
	next := listen(t, old.address)
	if err := accepted.Close(); err != nil {
		t.Fatal(err)
	}
	if err := accepted.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed again: %v, want %v", err, net.ErrClosed)
	}
	if err := accepted.SetReadDeadline(time.Unix(1, 0)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a deadline is set: %v, want %v", err, net.ErrClosed)
	}
	if _, err := accepted.Write([]byte("HTTP/1.1 500 old\r\n\r\n")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("an answer is written: %v, want %v", err, net.ErrClosed)
	}
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a byte is read: %v, want %v", err, net.ErrClosed)
	}
	serve(t, next, named("new"), nil)
	if _, err := fmt.Fprint(client, "\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); string(body) != "new" || err != nil {
		t.Errorf("answered by %q, %v; want new", body, err)
	}
}
