// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"strconv"
	"syscall"
)

// freeAddress returns an address on loopback for a server that is about to be started. Its port is kept free for it until
// this program ends, by a socket that is bound and does not listen: the kernel then gives the port to nobody who asks for
// any. It is kept at all addresses, as Caddy listens at all of them. A server that names it gets it all the same, since both sockets have SO_REUSEADDR, which servers set (socket(7)).
func freeAddress() (string, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return "", os.NewSyscallError("socket", err)
	}
	port, err := bindAny(fd)
	if err != nil {
		_ = syscall.Close(fd)
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}

func bindAny(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, new(syscall.SockaddrInet4)); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return name.(*syscall.SockaddrInet4).Port, nil
}
