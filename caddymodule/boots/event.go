// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"slices"
	"time"
)

// Event is something that happened in a boot. Equal ones in a row are one, with a count.
type Event struct {
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	// Text is what it is about: a script's kind, an image's label, a state, a MAC.
	Text string `json:"text,omitempty"`
	// Code is a reason code, and Status that of a call that was relayed.
	Code   string `json:"code,omitempty"`
	Status int    `json:"status,omitempty"`
	// Bytes is how many bytes of an image went out.
	Bytes int64 `json:"bytes,omitempty"`
	// Count is how often it happened, if more than once, and Last when the last time was.
	Count int       `json:"count,omitempty"`
	Last  time.Time `json:"last,omitzero"`
}

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	EventScript       EventKind = "script"        // a script was given
	EventRefused      EventKind = "refused"       // a script was refused
	EventNIC          EventKind = "nic"           // another NIC of the machine asked
	EventImage        EventKind = "image"         // an image was asked for
	EventImageDone    EventKind = "image_done"    // an image arrived whole
	EventImageShort   EventKind = "image_short"   // a transfer broke off
	EventImageStalled EventKind = "image_stalled" // a transfer makes no progress
	EventImageRefused EventKind = "image_refused" // an image was refused
	EventReport       EventKind = "report"        // the machine says what failed
	EventLookup       EventKind = "lookup"        // the agent looked itself up
	EventHeartbeat    EventKind = "heartbeat"     // the agent reported
	EventInspection   EventKind = "inspection"    // the agent reported what it found
	EventState        EventKind = "state"         // Ironic shows another provision state
	EventEnd          EventKind = "end"           // the boot is over
)

// note adds an event.
func (b *Boot) note(e Event) {
	b.Seen = e.At
	if n := len(b.Events); n > 0 {
		last := &b.Events[n-1]
		if last.Kind == e.Kind && last.Text == e.Text && last.Code == e.Code && last.Status == e.Status {
			last.Count = max(last.Count, 1) + 1
			last.Last = e.At
			last.Bytes += e.Bytes
			return
		}
	}
	if len(b.Events) == maxEvents {
		b.Events = slices.Delete(b.Events, firstEvents, firstEvents+1)
		b.Dropped++
	}
	b.Events = append(b.Events, e)
}
