// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package handover

import (
	"errors"
	"net"
)

func steer(*net.TCPListener, int) error { return errors.ErrUnsupported }
