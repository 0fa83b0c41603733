// SPDX-License-Identifier: Apache-2.0

package ipxetest

import "strings"

// option is one of a command's: --name, or -letter.
type option struct {
	name     string
	letter   byte
	argument bool
	check    func(value string) bool // nil: anything
}

var (
	name     = option{"name", 'n', true, nil}
	timeout  = option{"timeout", 't', true, isInteger}
	quiet    = option{"quiet", 'q', false, nil}
	autofree = option{"autofree", 'a', false, nil}
	replace  = option{"replace", 'r', false, nil}
	drive    = option{"drive", 'd', true, isInteger}
	describe = option{"no-describe", 'n', false, nil}
	keep     = option{"keep", 'k', false, nil}
	filename = option{"filename", 'f', true, nil}
	key      = option{"key", 'k', true, func(s string) bool { return len(s) == 1 || isInteger(s) }}
)

// parseOptions takes the options that stand before the first plain argument (core/getopt.c). Long ones cannot be
// shortened, short ones can share a word, and an argument in a word of its own must not begin with a hyphen.
func parseOptions(c command, argv []string) (map[string]string, []string, errno) {
	options := make(map[string]string)
	for len(argv) > 0 && strings.HasPrefix(argv[0], "-") {
		word := argv[0]
		argv = argv[1:]
		if word == "--" {
			break
		}
		var found []option
		value, given := "", false
		if long, ok := strings.CutPrefix(word, "--"); ok {
			long, value, given = strings.Cut(long, "=")
			o, ok := c.option(func(o option) bool { return o.name == long })
			switch {
			case long == "help" && !given:
				return nil, nil, errHelp
			case !ok:
				return nil, nil, errOption
			case given && !o.argument:
				return nil, nil, errArgument
			}
			found = []option{o}
		} else {
			letters := word[1:]
			for first := true; first || letters != ""; first = false {
				if strings.HasPrefix(letters, "h") {
					return nil, nil, errHelp
				}
				o, ok := c.option(func(o option) bool { return letters != "" && o.letter == letters[0] })
				if !ok {
					return nil, nil, errOption
				}
				letters = letters[1:]
				found = append(found, o)
				if o.argument {
					value, given, letters = letters, letters != "", ""
				}
			}
		}
		for _, o := range found { // only the last one can have an argument
			if o.argument && !given {
				if len(argv) == 0 || strings.HasPrefix(argv[0], "-") {
					return nil, nil, errArgument
				}
				value, argv = argv[0], argv[1:]
			}
			if o.check != nil && !o.check(value) {
				return nil, nil, errInteger
			}
			if o.argument {
				options[o.name] = value
			} else {
				options[o.name] = ""
			}
		}
	}
	return options, argv, 0
}

func (c command) option(is func(option) bool) (option, bool) {
	for _, o := range c.options {
		if is(o) {
			return o, true
		}
	}
	return option{}, false
}

func isInteger(text string) bool {
	_, ok := parseInteger(text)
	return ok
}

// parseInteger reads a number as iPXE's strtoul does: in base 10, 16 after 0x and 8 after 0, with a sign, and no digits
// at all are 0 (core/string.c).
func parseInteger(text string) (uint64, bool) {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	text, negative := strings.CutPrefix(text, "-")
	if !negative {
		text = strings.TrimPrefix(text, "+")
	}
	base := uint64(10)
	if rest, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		text, base = rest, 16
	} else if rest, ok := strings.CutPrefix(text, "0"); ok {
		text, base = rest, 8
	}
	var n uint64
	for _, c := range []byte(strings.ToLower(text)) {
		digit := uint64(c) - '0'
		if c >= 'a' {
			digit = uint64(c) - 'a' + 10
		}
		if digit >= base {
			return 0, false
		}
		n = n*base + digit
	}
	if negative {
		n = -n
	}
	return n, true
}
