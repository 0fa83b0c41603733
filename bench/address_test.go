// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestFreeAddress wants a port that a server gets who asks for it, before and after another has had it, and nobody who asks
// as the kernel does for who wants any port.
func TestFreeAddress(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	careful := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0) })
		return errors.Join(err, set)
	}}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{address, ":" + port} {
		for _, other := range []string{address, "127.0.0.2:" + port} {
			if l, err := careful.Listen(context.Background(), "tcp4", other); err == nil {
				l.Close()
				t.Fatalf("%s is free for anybody", other)
			}
		}
		l, err := net.Listen("tcp", own)
		if err != nil {
			t.Fatalf("the server does not get its address: %v", err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("the server cannot be reached: %v", err)
		}
		conn.Close()
		l.Close()
	}
}
