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

const maxArguments = 255

// commands are those that the interpreter knows.
var commands map[string]command

func init() {
	imgexec := []option{name, timeout, quiet, autofree, replace}
	commands = map[string]command{
		"echo":      {0, maxArguments, []option{{"n", 'n', false, nil}}, runEcho},
		"set":       {1, maxArguments, nil, runSet},
		"clear":     {1, 1, nil, runClear},
		"inc":       {1, 2, nil, runInc},
		"iseq":      {2, 2, nil, runIseq},
		"isset":     {1, 1, nil, runIsset},
		"goto":      {1, 1, nil, runGoto},
		"exit":      {0, 1, nil, runExit},
		"sleep":     {1, 1, nil, runSleep},
		"prompt":    {0, maxArguments, []option{key, timeout}, runPrompt},
		"reboot":    {0, 0, []option{{"warm", 'w', false, nil}}, runEnd("reboot")},
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
		"dhcp":      {0, maxArguments, nil, runNetwork},
		"ifconf":    {0, maxArguments, nil, runNetwork},
		"ifopen":    {0, maxArguments, nil, runNetwork},
		"ifclose":   {0, maxArguments, nil, runNetwork},
		"ifstat":    {0, maxArguments, nil, runNetwork},
		"route":     {0, 0, nil, runNothing},
		"imgstat":   {0, maxArguments, nil, runNothing},
	}
}

func runNothing(*run, map[string]string, []string) bool { return true }

func runEcho(r *run, _ map[string]string, args []string) bool {
	r.record("echo", strings.Join(args, " "))
	return true
}

// runNetwork does nothing to NICs, which must be there.
func runNetwork(r *run, _ map[string]string, args []string) bool {
	for _, name := range args {
		if _, ok := r.nic(name); !ok {
			return r.fail(errNIC)
		}
	}
	return true
}

func runSet(r *run, _ map[string]string, args []string) bool {
	return r.store(args[0], strings.Join(args[1:], " "))
}

func runClear(r *run, _ map[string]string, args []string) bool { return r.store(args[0], "") }

// runInc takes a setting that is not there for a zero of 32 bits, and refuses one that is no number.
func runInc(r *run, _ map[string]string, args []string) bool {
	path, kind, _ := strings.Cut(args[0], ":")
	by := uint64(1)
	if len(args) > 1 {
		var ok bool
		if by, ok = parseInteger(args[1]); !ok {
			return r.fail(errInteger)
		}
	}
	var old int64
	if s, ok := r.lookUp(path); ok {
		if kind == "" {
			kind = s.kind
		}
		old, _ = r.number(s.raw, kind)
	} else if kind == "" {
		kind = "int32"
	}
	if size, _ := integer(kind); size == 0 {
		return r.fail(errType)
	}
	return r.store(path+":"+kind, strconv.FormatInt(old+int64(by), 10))
}

func runIseq(r *run, _ map[string]string, args []string) bool {
	return args[0] == args[1] || r.fail(errUnequal)
}

func runIsset(r *run, _ map[string]string, args []string) bool {
	return args[0] != "" || r.fail(errUnset)
}

func runGoto(r *run, _ map[string]string, args []string) bool {
	offset, ok := findLabel(r.running, args[0])
	if !ok {
		return r.fail(errLabel)
	}
	r.offset, r.stopped = offset, stopLine
	return true
}

// runExit fails with the number that it is given.
func runExit(r *run, _ map[string]string, args []string) bool {
	var status uint64
	if len(args) > 0 {
		var ok bool
		if status, ok = parseInteger(args[0]); !ok {
			return r.fail(errInteger)
		}
	}
	r.stopped = stopScript
	return uint32(status) == 0 || r.fail(errno(status))
}

func runSleep(r *run, _ map[string]string, args []string) bool {
	n, ok := parseInteger(args[0])
	if !ok {
		return r.fail(errInteger)
	}
	r.record("sleep", strconv.FormatUint(n, 10))
	return true
}

func runPrompt(r *run, options map[string]string, _ []string) bool {
	r.record("prompt", options["timeout"])
	if _, limited := options["timeout"]; !r.machine.Key && limited {
		return r.fail(errPrompt)
	}
	return true
}

func runEnd(kind string) func(*run, map[string]string, []string) bool {
	return func(r *run, _ map[string]string, _ []string) bool { return r.stop(Event{kind, ""}) }
}
