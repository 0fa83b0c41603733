// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"regexp"
	"strings"
)

// Trace is what a machine did, in order.
type Trace struct{ Events []Event }

// Event is one thing that the machine did.
type Event struct {
	// Kind is the first word of the event's line:
	//
	//	GET, HEAD, ATTACH, DISK   a request, its result and the settings that went with it
	//	wait                      the seconds of a Retry-After
	//	sleep                     seconds
	//	echo                      a line on the console
	//	prompt                    a wait for a key
	//	boot                      a kernel is started, with its command line and initrds; the end
	//	sanboot                   a drive is booted; the end
	//	exit, error               the script ends well or not; control goes back to the firmware
	//	reboot, poweroff, shell   the end
	//	loop                      the same request has been made again and again; the end
	Kind string
	Text string
}

// String is the event as a line.
func (e Event) String() string {
	if e.Text == "" {
		return e.Kind
	}
	return e.Kind + " " + e.Text
}

// String is the trace as lines, each with its line feed.
func (t Trace) String() string {
	var b strings.Builder
	for _, e := range t.Events {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// End is the last event: what became of the machine.
func (t Trace) End() Event {
	if len(t.Events) == 0 {
		return Event{}
	}
	return t.Events[len(t.Events)-1]
}

var requestID = regexp.MustCompile(`(ipa-global-request-id=)\S+`)

// Canonical is the trace without what two scripts that do the same may differ in: lines for the console, and the value
// of the request id, which is minted anew for each script.
func (t Trace) Canonical() Trace {
	var c Trace
	for _, e := range t.Events {
		if e.Kind != "echo" {
			e.Text = requestID.ReplaceAllString(e.Text, "${1}*")
			c.Events = append(c.Events, e)
		}
	}
	return c
}
