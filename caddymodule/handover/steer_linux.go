// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"net"

	"golang.org/x/sys/unix"
)

// steer makes the kernel give all new connections of a listener's address to the one in place index of the group: a
// program of one instruction, which returns that number (socket(7), SO_ATTACH_REUSEPORT_CBPF, Linux 4.5). A number
// without a listener leaves the choice to the kernel, as without a program. Multipath TCP sockets, which Go makes by default,
// do not have the option; go.mod turns them off.
func steer(ln *net.TCPListener, index int) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(index)}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program)
	})
	if err != nil {
		return err
	}
	return failed
}
