// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"strconv"
	"strings"
)

// command is one of iPXE's.
type command struct {
	min, max int // arguments after the options
	options  []option
	run      func(r *run, options map[string]string, args []string) bool
}

// option is one of a command's: --name, or -letter.
type option struct {
	name     string
	letter   byte
	argument bool
}

func (c command) option(word string) (option, bool) {
	for _, o := range c.options {
		if word == "--"+o.name || len(word) == 2 && word[0] == '-' && word[1] == o.letter {
			return o, true
		}
	}
	var found []option
	for _, o := range c.options {
		if long, ok := strings.CutPrefix(word, "--"); ok && strings.HasPrefix(o.name, long) {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return option{}, false
	}
	return found[0], true
}

const maxArguments = 255

var (
	name     = option{"name", 'n', true}
	timeout  = option{"timeout", 't', true}
	quiet    = option{"quiet", 'q', false}
	autofree = option{"autofree", 'a', false}
	replace  = option{"replace", 'r', false}
	drive    = option{"drive", 'd', true}
	describe = option{"no-describe", 'n', false}
	keep     = option{"keep", 'k', false}
	filename = option{"filename", 'f', true}
	key      = option{"key", 'k', true}
)

// commands are those that the interpreter knows.
var commands map[string]command

func init() {
	imgexec := []option{name, timeout, quiet, autofree, replace}
	commands = map[string]command{
		"echo":      {0, maxArguments, []option{{"n", 'n', false}}, runEcho},
		"set":       {1, maxArguments, nil, runSet},
		"clear":     {1, 1, nil, runClear},
		"inc":       {1, 2, nil, runInc},
		"iseq":      {2, 2, nil, runIseq},
		"isset":     {1, 1, nil, runIsset},
		"goto":      {1, 1, nil, runGoto},
		"exit":      {0, 1, nil, runExit},
		"sleep":     {1, 1, nil, runSleep},
		"prompt":    {0, maxArguments, []option{key, timeout}, runPrompt},
		"reboot":    {0, 0, []option{{"warm", 'w', false}}, runEnd("reboot")},
		"poweroff":  {0, 0, nil, runEnd("poweroff")},
		"shell":     {0, 0, nil, runEnd("shell")},
		"imgfree":   {0, maxArguments, nil, runImgfree},
		"imgfetch":  {1, maxArguments, imgexec[:4], runImgfetch},
		"initrd":    {1, maxArguments, imgexec[:4], runImgfetch},
		"module":    {1, maxArguments, imgexec[:4], runImgfetch},
		"kernel":    {1, maxArguments, imgexec[:4], runKernel},
		"imgselect": {1, maxArguments, imgexec[:4], runKernel},
		"imgload":   {1, maxArguments, imgexec[:4], runKernel},
		"chain":     {0, maxArguments, imgexec, runChain},
		"imgexec":   {0, maxArguments, imgexec, runChain},
		"boot":      {0, maxArguments, imgexec, runChain},
		"sanhook":   {1, maxArguments, []option{drive, describe}, runSanhook},
		"sanboot":   {0, maxArguments, []option{drive, describe, keep, filename}, runSanboot},
		"sanunhook": {0, 0, []option{drive}, runNothing},
		"dhcp":      {0, maxArguments, nil, runNothing},
		"ifconf":    {0, maxArguments, nil, runNothing},
		"ifopen":    {0, maxArguments, nil, runNothing},
		"ifclose":   {0, maxArguments, nil, runNothing},
		"ifstat":    {0, maxArguments, nil, runNothing},
		"route":     {0, 0, nil, runNothing},
		"imgstat":   {0, maxArguments, nil, runNothing},
	}
}

func runNothing(*run, map[string]string, []string) bool { return true }

func runEcho(r *run, _ map[string]string, args []string) bool {
	r.record("echo", strings.Join(args, " "))
	return true
}

func runSet(r *run, _ map[string]string, args []string) bool {
	if !r.store(args[0], strings.Join(args[1:], " ")) {
		return r.fail("0x16044089")
	}
	return true
}

func runClear(r *run, _ map[string]string, args []string) bool {
	path, _, _ := strings.Cut(args[0], ":")
	delete(r.settings, path)
	return true
}

// runInc takes a setting that is not there for a zero of 32 bits.
func runInc(r *run, _ map[string]string, args []string) bool {
	by := int64(1)
	if len(args) > 1 {
		n, err := strconv.ParseInt(args[1], 0, 64)
		if err != nil {
			return r.fail("0x16044089")
		}
		by = n
	}
	path, kind, _ := strings.Cut(args[0], ":")
	var old int64
	if s, ok := r.settings[path]; ok {
		if kind == "" {
			kind = s.kind
		}
		old, _ = strconv.ParseInt(format(s.raw, kind), 0, 64)
	}
	if size, _ := integer(kind); size == 0 && kind != "string" {
		kind = "int32"
	}
	return r.store(path+":"+kind, strconv.FormatInt(old+by, 10))
}

func runIseq(r *run, _ map[string]string, args []string) bool {
	if args[0] != args[1] {
		return r.fail("0x22048095") // ERANGE
	}
	return true
}

func runIsset(r *run, _ map[string]string, args []string) bool {
	if args[0] == "" {
		return r.fail("0x2d048095") // ENOENT
	}
	return true
}

func runGoto(r *run, _ map[string]string, args []string) bool {
	offset, ok := findLabel(r.running, args[0])
	if !ok {
		return r.fail("0x2d048095")
	}
	r.offset, r.stopped = offset, stopLine
	return true
}

func runExit(r *run, _ map[string]string, args []string) bool {
	r.stopped = stopScript
	if len(args) == 0 {
		return true
	}
	n, err := strconv.ParseInt(args[0], 0, 64)
	return err == nil && n == 0
}

func runSleep(r *run, _ map[string]string, args []string) bool {
	if n, err := strconv.ParseUint(args[0], 0, 32); err != nil {
		return r.fail("0x16044089")
	} else {
		r.record("sleep", strconv.FormatUint(n, 10))
	}
	return true
}

func runPrompt(r *run, options map[string]string, _ []string) bool {
	r.record("prompt", options["timeout"])
	if _, limited := options["timeout"]; !r.machine.Key && limited {
		return r.fail("0x4c048095") // ETIMEDOUT
	}
	return true
}

func runEnd(kind string) func(*run, map[string]string, []string) bool {
	return func(r *run, _ map[string]string, _ []string) bool { return r.stop(Event{kind, ""}) }
}
