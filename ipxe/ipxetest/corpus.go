// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Example is a script of the corpus by which this package and real iPXE are compared, with what the script's server
// answers and what iPXE does. A file of the corpus begins with what the example is about; then come blocks:
//
//	-- /path 200 --                  a file; /boot.ipxe is the script
//	-- /path 503 Retry-After: 1 --   an answer with a header field, Retry-After or Location
//	-- /path 200 quoted --           a file whose lines are Go strings, for bytes that a text cannot show
//	-- /path kernel --               a kernel that any machine can boot
//	-- trace --                      the trace, one event a line
//	-- trace efi --                  the trace on that platform, where another one differs or cannot run the script
//
// Several blocks for one path are the answers to one request after the other, and the last is for all that follow.
// Whatever has no block is not found, but /report, where scripts send what they have seen.
type Example struct {
	Name    string
	About   string
	Answers map[string][]Response
	// Traces are the wanted traces by platform; that of "" is for those that have none of their own.
	Traces map[string]string
}

// The platforms of iPXE by its own names, its setting "platform".
const (
	BIOS = "pcbios"
	UEFI = "efi"
)

// Script is where an Example's script is found.
const Script = "/boot.ipxe"

// Trace is the trace that is wanted on a platform, if the example is for it at all.
func (e Example) Trace(platform string) (string, bool) {
	if t, ok := e.Traces[platform]; ok {
		return t, true
	}
	t, ok := e.Traces[""]
	return t, ok
}

// ReadExamples reads the corpus in a directory.
func ReadExamples(dir fs.FS) ([]Example, error) {
	names, err := fs.Glob(dir, "*.txt")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Example
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		e, err := parseExample(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		e.Name = strings.TrimSuffix(path.Base(name), ".txt")
		all = append(all, e)
	}
	return all, nil
}

func parseExample(text string) (Example, error) {
	e := Example{Answers: make(map[string][]Response), Traces: make(map[string]string)}
	var head []string // of the block under way; nil: the text before the first
	var body strings.Builder
	end := func() error {
		defer body.Reset()
		switch {
		case head == nil:
			e.About = strings.TrimSpace(body.String())
			return nil
		case head[0] == "trace":
			platform := strings.Join(head[1:], " ")
			e.Traces[platform] = body.String()
			return nil
		}
		answer, err := parseAnswer(head[1:], body.String())
		e.Answers[head[0]] = append(e.Answers[head[0]], answer)
		return err
	}
	for line := range strings.Lines(text) {
		inner, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		if inner, ok2 := strings.CutSuffix(inner, " --"); ok && ok2 {
			if err := end(); err != nil {
				return e, err
			}
			head = strings.Fields(inner)
			continue
		}
		body.WriteString(line)
	}
	if err := end(); err != nil {
		return e, err
	}
	if len(e.Answers[Script]) == 0 || e.About == "" || len(e.Traces) == 0 {
		return e, fmt.Errorf("an example needs a text, a block %s and one of a trace", Script)
	}
	return e, nil
}

func parseAnswer(words []string, body string) (Response, error) {
	r := Response{Status: 200, Body: []byte(body)}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "kernel":
			r.Body = nil
		case "quoted":
			var raw bytes.Buffer
			for line := range strings.Lines(body) {
				s, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
				if err != nil {
					return r, fmt.Errorf("%s: %w", line, err)
				}
				raw.WriteString(s)
			}
			r.Body = raw.Bytes()
		case "Retry-After:", "Location:":
			if i++; i == len(words) {
				return r, fmt.Errorf("%s has no value", word)
			}
			if word == "Location:" {
				r.Location = words[i]
			} else {
				r.RetryAfter = words[i]
			}
		default:
			n, err := strconv.Atoi(word)
			if err != nil {
				return r, fmt.Errorf("unknown word %q", word)
			}
			r.Status = n
		}
	}
	return r, nil
}
