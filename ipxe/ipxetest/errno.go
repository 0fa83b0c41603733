// SPDX-License-Identifier: Apache-2.0

package ipxetest

// errno is what a command fails with, as in ${errno}: a POSIX code in the first byte, the source file and a number for
// the very cause in the middle, and in the last byte what the platform calls it (include/errno.h). That byte is empty
// here but for the numbers of exit, which are no such codes.
type errno uint32

// The causes that the interpreter knows.
const (
	errUsage         errno = 0x46162000 // core/parseopt.c
	errInteger       errno = 0x1c162100
	errOption        errno = 0x1c162200
	errArgument      errno = 0x1c162300
	errHelp          errno = 0x0b162100
	errNIC           errno = 0x2c162000
	errUnset         errno = 0x2d022000 // core/exec.c
	errUnequal       errno = 0x46022000
	errCommand       errno = 0x2e022000
	errLabel         errno = 0x2d028000 // image/script.c
	errContinuation  errno = 0x1c028000
	errNumber        errno = 0x1c0c2000 // core/settings.c
	errType          errno = 0x3c0c2000
	errHex           errno = 0x1c112000 // core/base16.c
	errNotExecutable errno = 0x2e008000 // core/image.c
	errNoImage       errno = 0x2d0ae000 // hci/commands/image_cmd.c
	errScheme        errno = 0x3c092000 // core/open.c
	errConnection    errno = 0x0f0a6000 // net/tcp.c, for a connection that is refused
	errPrompt        errno = 0x4c22e000 // usr/prompt.c
)

// httpErrno is what iPXE says of a status (net/tcp/httpcore.c: http_parse_status).
func httpErrno(status int) errno {
	switch {
	case status == 0:
		return errConnection
	case status >= 300 && status < 400:
		return 0x4f0c6000
	case status == 401:
		return 0x020c6100
	case status == 403:
		return 0x410c6100
	case status == 404:
		return 0x2d0c6100
	case status >= 400 && status < 500:
		return 0x1d0c6400
	case status >= 500 && status < 600:
		return 0x1d0c6500
	}
	return 0x1d0c6100
}

// platformCodes are the last bytes by the first one, for a BIOS and for UEFI (include/ipxe/errno).
var platformCodes = map[errno][2]errno{
	0x02: {0x3c, 0x8f}, // EACCES
	0x0b: {0xa0, 0x95}, // ECANCELED
	0x0f: {0x39, 0x95}, // ECONNRESET
	0x1c: {0x02, 0x82}, // EINVAL
	0x1d: {0x39, 0x98}, // EIO
	0x2c: {0x3b, 0x87}, // ENODEV
	0x2d: {0x3b, 0x8e}, // ENOENT
	0x2e: {0x01, 0x81}, // ENOEXEC
	0x3c: {0x03, 0x83}, // ENOTSUP
	0x41: {0x3c, 0x8f}, // EPERM
	0x46: {0x01, 0x85}, // ERANGE
	0x4c: {0x35, 0x92}, // ETIMEDOUT
	0x4f: {0x01, 0x8a}, // EXDEV
}

// raw is the value of the setting errno.
func (e errno) raw(platform string) []byte {
	codes := platformCodes[e>>24]
	if platform == UEFI {
		e |= codes[1]
	} else {
		e |= codes[0]
	}
	return []byte{byte(e >> 24), byte(e >> 16), byte(e >> 8), byte(e)}
}
