// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// kinds are the types of settings that the interpreter knows (core/settings.c).
var kinds = []string{"string", "uristring", "hex", "hexhyp", "hexraw", "int8", "int16", "int32", "uint8", "uint16", "uint32"}

// separators stand between the bytes of the types that write them in hexadecimal.
var separators = map[string]string{"hex": ":", "hexhyp": "-", "hexraw": ""}

// parse makes bytes of text.
func parse(text, kind string) ([]byte, errno) {
	if size, _ := integer(kind); size > 0 {
		n, ok := parseInteger(text)
		if !ok {
			return nil, errNumber
		}
		raw := make([]byte, size)
		for i := range raw {
			raw[size-1-i] = byte(n >> (8 * i))
		}
		return raw, 0
	}
	if separator, ok := separators[kind]; ok {
		var raw []byte
		for i := 0; i < len(text); i += 2 {
			if len(raw) > 0 {
				if !strings.HasPrefix(text[i:], separator) {
					return nil, errHex
				}
				i += len(separator)
			}
			b, err := hex.DecodeString(text[i:min(i+2, len(text))])
			if err != nil || len(b) == 0 {
				return nil, errHex
			}
			raw = append(raw, b...)
		}
		return raw, 0
	}
	if kind == "uristring" {
		return unescape(text), 0
	}
	return []byte(text), 0
}

// format makes text of bytes. A type that is not known makes nothing of them.
func (r *run) format(raw []byte, kind string) string {
	if size, signed := integer(kind); size > 0 {
		n, ok := r.number(raw, kind)
		switch {
		case !ok:
			return ""
		case signed:
			return strconv.FormatInt(n, 10)
		}
		return "0x" + strconv.FormatUint(uint64(n), 16)
	}
	if separator, ok := separators[kind]; ok {
		parts := make([]string, len(raw))
		for i, b := range raw {
			parts[i] = hex.EncodeToString([]byte{b})
		}
		return strings.Join(parts, separator)
	}
	switch kind {
	case "string":
		text, _, _ := strings.Cut(string(raw), "\x00")
		return text
	case "uristring":
		return escape(raw)
	}
	return ""
}

// number is what bytes are as a number of a type, whose width does not matter. Those that do not fit the machine's words
// are none.
func (r *run) number(raw []byte, kind string) (int64, bool) {
	word := 4
	if r.machine.Settings["platform"] == UEFI {
		word = 8
	}
	_, signed := integer(kind)
	var n int64
	if signed && len(raw) > 0 && raw[0] >= 0x80 {
		n = -1
	}
	pad := byte(n)
	for i, b := range raw {
		if i+word < len(raw) && b != pad {
			return 0, false
		}
		n = n<<8 | int64(b)
	}
	if word == 4 && signed {
		n = int64(int32(n))
	} else if word == 4 {
		n = int64(uint32(n))
	}
	return n, true
}

func integer(kind string) (size int, signed bool) {
	switch strings.TrimPrefix(kind, "u") {
	case "int8":
		size = 1
	case "int16":
		size = 2
	case "int32":
		size = 4
	}
	return size, size > 0 && kind[0] != 'u'
}

// escape is iPXE's way to write bytes in a URL (core/uri.c: uri_encode); newer releases escape a + as well. A byte over
// 127 comes out with the sign extended, which nothing reads back.
func escape(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		if c <= ' ' || c > '~' || strings.IndexByte("%/#:@?=&", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", uint32(int8(c)))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape undoes what escape does; a % without two digits takes the one that it has, or stays.
func unescape(text string) []byte {
	var raw []byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			for n := 2; n > 0; n-- {
				if i+n >= len(text) {
					continue
				}
				if v, err := strconv.ParseUint(text[i+1:i+1+n], 16, 8); err == nil {
					c, i = byte(v), i+n
					break
				}
			}
		}
		raw = append(raw, c)
	}
	return raw
}
