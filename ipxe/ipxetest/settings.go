// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// setting is a value with the type that it was stored with.
type setting struct {
	raw  []byte
	kind string // "string", "int32", "hex" ...
}

// predefined are the types of settings that have one without being told. The others are strings.
var predefined = map[string]string{"errno": "uint32", "mac": "hex", "priority": "int8", "keep-san": "int8", "skip-san-boot": "int8"}

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
	path, kind, typed := strings.Cut(name, ":")
	s, ok := r.lookUp(path)
	if !ok {
		return ""
	}
	if !typed {
		kind = s.kind
	}
	return r.format(s.raw, kind)
}

// nic finds a NIC by its name; netX is the one in use.
func (r *run) nic(name string) (int, bool) {
	if name == "netX" {
		return r.machine.Boot, true
	}
	number, ok := strings.CutPrefix(name, "net")
	i, err := strconv.Atoi(number)
	return i, ok && err == nil && i >= 0 && i < len(r.machine.NICs) && name == "net"+strconv.Itoa(i)
}

// path is the one spelling of a setting's name with its scope.
func (r *run) path(path string) string {
	if scope, name, ok := strings.Cut(path, "/"); ok {
		if i, ok := r.nic(scope); ok {
			return "net" + strconv.Itoa(i) + "/" + name
		}
	}
	return path
}

// lookUp finds a setting. A name without a scope is looked for in all scopes.
func (r *run) lookUp(path string) (setting, bool) {
	path = r.path(path)
	if s, ok := r.settings[path]; ok {
		return s, true
	}
	scope, name, scoped := strings.Cut(path, "/")
	index, isNIC := r.machine.Boot, true
	if scoped {
		index, isNIC = r.nic(scope)
	} else {
		name = path
		for i := range r.machine.NICs {
			if s, ok := r.settings["net"+strconv.Itoa(i)+"/"+name]; ok {
				return s, true
			}
		}
		if s, ok := r.machine.Settings[path]; ok {
			return setting{[]byte(s), "string"}, true
		}
		if path == "errno" {
			return setting{r.errno.raw(r.machine.Settings["platform"]), predefined[path]}, true
		}
	}
	if name != "mac" || !isNIC || index >= len(r.machine.NICs) {
		return setting{}, false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(r.machine.NICs[index], ":", ""))
	return setting{raw, predefined[name]}, err == nil
}

// store keeps a value that is given as text; an empty one takes the setting away.
func (r *run) store(name, text string) bool {
	path, kind, typed := strings.Cut(name, ":")
	path = r.path(path)
	switch {
	case typed && !slices.Contains(kinds, kind):
		return r.fail(errType)
	case !typed:
		if kind = predefined[path[strings.LastIndexByte(path, '/')+1:]]; kind == "" {
			kind = "string"
		}
	}
	if text == "" {
		delete(r.settings, path)
		return true
	}
	raw, why := parse(text, kind)
	if why != 0 {
		return r.fail(why)
	}
	r.settings[path] = setting{raw, kind}
	return true
}
