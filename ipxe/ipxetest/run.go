// SPDX-License-Identifier: Apache-2.0

package ipxetest

// Run executes a script on a machine until it ends, and returns what the machine did.
func Run(script []byte, m Machine) Trace {
	r := &run{machine: m, settings: make(map[string]setting), attempts: make(map[Request]int), steps: m.MaxSteps}
	if r.steps == 0 {
		r.steps = 10_000
	}
	if !isScript(script) {
		r.stop(Event{"error", "not a script"})
		return r.trace
	}
	ok := r.execute(&image{name: imageName(m.Base), url: m.Base, body: script})
	if !r.ended {
		kind := "error"
		if ok {
			kind = "exit"
		}
		r.record(kind, "")
	}
	return r.trace
}

// run is a run under way.
type run struct {
	machine  Machine
	trace    Trace
	settings map[string]setting
	errno    errno
	attempts map[Request]int
	steps    int

	cwuri    string // URL of the running script
	images   []*image
	selected *image // counts only while it is one of the images

	running     []byte // the script
	offset      int    // of its next line
	stopped     stop
	replacement *image // runs when the script has been left
	depth       int    // of chained scripts
	ended       bool   // the machine runs no script any more
}

// stop says what to leave: the rest of a line after goto, the rest of a script after exit (core/exec.c: shell_stop).
type stop uint8

const (
	stopNothing stop = iota
	stopLine
	stopScript
)

func isScript(b []byte) bool {
	for _, magic := range []string{"#!ipxe", "#!gpxe"} {
		if len(b) > len(magic) && string(b[:len(magic)]) == magic && isSpace(b[len(magic)]) {
			return true
		}
	}
	return false
}

func (r *run) record(kind, text string) { r.trace.Events = append(r.trace.Events, Event{kind, text}) }

// stop ends the run with an event.
func (r *run) stop(e Event) bool {
	if !r.ended {
		r.ended = true
		r.trace.Events = append(r.trace.Events, e)
	}
	return false
}

// maxDepth is how deep scripts may chain each other; each level takes memory that firmware does not have.
const maxDepth = 64

// script runs a script to its end and reports whether it succeeded. A line that fails ends it.
func (r *run) script(text []byte) bool {
	saved, savedOffset := r.running, r.offset
	r.running, r.offset = text, 0
	if r.depth++; r.depth > maxDepth {
		r.stop(Event{"loop", "scripts chain each other"})
	}
	ok := true
	for ok && !r.ended && r.offset < len(r.running) {
		l := readLine(r.running, r.offset)
		r.offset = l.next
		if l.open {
			ok = r.fail(errContinuation)
			break
		}
		ok = r.line(l.command)
		if r.stopped == stopScript {
			break
		}
	}
	r.depth--
	r.stopped = stopNothing
	r.running, r.offset = saved, savedOffset
	return ok
}

// line executes the commands of a line (core/exec.c: system).
func (r *run) line(command string) bool {
	ok, process := true, true
	for t := tokens(command); ; {
		n, operator := terminator(t)
		if process {
			argv := make([]string, n)
			for i, word := range t[:n] {
				argv[i] = r.expand(word)
			}
			if r.ended {
				return false
			}
			ok = r.command(argv)
		}
		if r.ended {
			return false
		}
		if r.stopped != stopNothing {
			if r.stopped == stopLine {
				r.stopped = stopNothing
			}
			return ok
		}
		switch operator {
		case "":
			return ok
		case "||":
			process = !ok
		case "&&":
			process = ok
		case ";":
			process = true
		}
		t = t[n+1:]
	}
}

// command runs one command. The empty command succeeds.
func (r *run) command(argv []string) bool {
	if len(argv) == 0 {
		return true
	}
	if r.steps--; r.steps < 0 {
		return r.stop(Event{"loop", "too many commands"})
	}
	c, ok := commands[argv[0]]
	if !ok || argv[0] == "poweroff" && r.machine.NoPoweroff {
		return r.fail(errCommand)
	}
	options, args, why := parseOptions(c, argv[1:])
	if why != 0 {
		return r.fail(why)
	}
	if len(args) < c.min || len(args) > c.max {
		return r.fail(errUsage)
	}
	return c.run(r, options, args)
}

// fail notes why a command failed.
func (r *run) fail(why errno) bool {
	r.errno = why
	return false
}

// findLabel is where the line with a label begins.
func findLabel(script []byte, label string) (int, bool) {
	for offset := 0; offset < len(script); {
		l := readLine(script, offset)
		if l.labeled && l.label == label {
			return offset, true
		}
		offset = l.next
	}
	return 0, false
}
