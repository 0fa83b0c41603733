// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
)

// setting is a value with the type that it was stored with.
type setting struct {
	raw  []byte
	kind string // "string", "int32", "hex" ...
}

// expand replaces each ${name} by the setting's value, the innermost first, again and again until none is left.
func (r *run) expand(s string) string {
	for range maxExpansions {
		start, end := -1, -1
		for i := range len(s) {
			if s[i] == '$' && i+1 < len(s) && s[i+1] == '{' {
				start = i
			}
			if start >= 0 && s[i] == '}' {
				end = i
				break
			}
		}
		if end < 0 {
			return s
		}
		s = s[:start] + r.value(s[start+2:end]) + s[end+1:]
		if len(s) > maxLine {
			break
		}
	}
	r.stop(Event{"loop", "a setting expands to itself"})
	return ""
}

const (
	maxExpansions = 1000
	maxLine       = 1 << 16
)

// value formats the setting with a name such as net0/mac:hexhyp; one that is not there is empty.
func (r *run) value(name string) string {
	path, kind, _ := strings.Cut(name, ":")
	s, ok := r.lookUp(path)
	if !ok {
		return ""
	}
	if kind == "" {
		kind = s.kind
	}
	return format(s.raw, kind)
}

func (r *run) lookUp(path string) (setting, bool) {
	if s, ok := r.settings[path]; ok {
		return s, true
	}
	scope, name, scoped := strings.Cut(path, "/")
	if !scoped {
		scope, name = "netX", path
		if s, ok := r.machine.Settings[path]; ok {
			return setting{[]byte(s), "string"}, true
		}
		if path == "errno" {
			return setting{[]byte(r.errno), "string"}, true
		}
	}
	if name != "mac" {
		return setting{}, false
	}
	index := r.machine.Boot
	if scope != "netX" {
		n, err := strconv.Atoi(strings.TrimPrefix(scope, "net"))
		if err != nil || !strings.HasPrefix(scope, "net") {
			return setting{}, false
		}
		index = n
	}
	if index < 0 || index >= len(r.machine.NICs) {
		return setting{}, false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(r.machine.NICs[index], ":", ""))
	return setting{raw, "hex"}, err == nil
}

// store keeps a value that is given as text; an empty one takes the setting away.
func (r *run) store(name, text string) bool {
	path, kind, typed := strings.Cut(name, ":")
	if !typed {
		kind = "string"
		if old, ok := r.settings[path]; ok {
			kind = old.kind
		}
	}
	raw, ok := parse(text, kind)
	switch {
	case !ok:
		return false
	case text == "" && kind == "string":
		delete(r.settings, path)
	default:
		r.settings[path] = setting{raw, kind}
	}
	return true
}

// parse makes bytes of text.
func parse(text, kind string) ([]byte, bool) {
	if size, _ := integer(kind); size > 0 {
		n, err := strconv.ParseInt(text, 0, 64)
		if text == "" {
			n, err = 0, nil // strtoul takes no digits for zero
		}
		raw := make([]byte, size)
		for i := range raw {
			raw[size-1-i] = byte(n >> (8 * i))
		}
		return raw, err == nil
	}
	switch kind {
	case "string", "uristring":
		return []byte(text), true
	case "hex", "hexhyp", "hexraw":
		raw, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(text))
		return raw, err == nil
	}
	return nil, false
}

// format makes text of bytes.
func format(raw []byte, kind string) string {
	if size, signed := integer(kind); size > 0 {
		var n int64
		for i, b := range raw {
			if i == 0 && signed && b >= 0x80 {
				n = -1
			}
			n = n<<8 | int64(b)
		}
		if signed {
			return strconv.FormatInt(n, 10)
		}
		return "0x" + strconv.FormatUint(uint64(n), 16)
	}
	switch kind {
	case "hex":
		return separated(raw, ":")
	case "hexhyp":
		return separated(raw, "-")
	case "hexraw":
		return hex.EncodeToString(raw)
	case "uristring":
		return strings.ReplaceAll(url.QueryEscape(string(raw)), "+", "%20")
	}
	return string(raw)
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

func separated(raw []byte, separator string) string {
	parts := make([]string, len(raw))
	for i, b := range raw {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, separator)
}
