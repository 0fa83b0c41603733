// SPDX-License-Identifier: Apache-2.0

package ipxetest

import "bytes"

// isSpace is C's isspace.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// line is one line of a script after continuations are joined.
type line struct {
	label   string
	labeled bool
	command string
	next    int  // offset of the line after it
	open    bool // the script ends in a continuation; the line is never executed
}

// readLine reads the line at offset: to the next line feed, without one carriage return before it, joined with the next
// one when a backslash ends it. A NUL ends what iPXE sees of the line.
func readLine(script []byte, offset int) line {
	var text []byte
	for {
		rest := script[offset:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			end = len(rest)
		}
		text = append(text, rest[:end]...)
		offset = min(offset+end+1, len(script))
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text = text[:n-1]
		}
		if n := len(text); n > 0 && text[n-1] == '\\' {
			text = text[:n-1]
			if offset < len(script) {
				continue
			}
			return line{next: offset, open: true}
		}
		break
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	i := 0
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	l := line{command: string(text[i:]), next: offset}
	if i < len(text) && text[i] == ':' {
		start := i + 1
		for i < len(text) && !isSpace(text[i]) {
			i++
		}
		l.label, l.labeled, l.command = string(text[start:i]), true, string(text[i:])
	}
	return l
}

// tokens splits a command at white space. There is no quoting.
func tokens(command string) []string {
	var t []string
	for i := 0; i < len(command); {
		if isSpace(command[i]) {
			i++
			continue
		}
		start := i
		for i < len(command) && !isSpace(command[i]) {
			i++
		}
		t = append(t, command[start:i])
	}
	return t
}

// terminator finds the end of the first command among tokens: where it is and which operator stands there. A token that
// begins with # ends all.
func terminator(t []string) (n int, operator string) {
	for i, word := range t {
		switch {
		case word[0] == '#':
			return i, ""
		case word == "||" || word == "&&" || word == ";":
			return i, word
		}
	}
	return len(t), ""
}
