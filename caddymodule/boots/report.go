// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Report is what a script says of a failure of its own.
type Report struct {
	Node   string // UUID
	Client netip.Addr
	// Label is what failed, and Errno iPXE's number of the error.
	Label   string
	Errno   uint32
	Attempt int
}

// Reported is a boot's last report.
type Reported struct {
	At      time.Time `json:"at"`
	Label   string    `json:"label"`
	Errno   string    `json:"errno"`
	Meaning string    `json:"meaning,omitempty"`
	Attempt int       `json:"attempt"`
}

// reportHolds is for how long a report says something of a boot.
const reportHolds = 5 * time.Minute

// meanings are those of the first byte of an error's number in iPXE, a POSIX code (include/errno.h).
var meanings = map[uint32]string{
	0x02: "the server refuses it (401)", 0x0b: "it was cancelled", 0x0f: "the connection was refused or reset", 0x1c: "something in it is not valid",
	0x1d: "the server answers with an error", 0x28: "the network is down", 0x2c: "there is no such NIC", 0x2d: "the server has no such file (404)",
	0x2e: "it cannot be run by this machine", 0x30: "there is no memory for it", 0x38: "there is no way to the server", 0x3c: "the address or the name is not known",
	0x3e: "a name is not known", 0x41: "the server forbids it (403)", 0x4c: "nothing came in time", 0x4f: "the server redirects it",
}

// Report records a failure that a machine reports. It is believed only if it comes from where its boot does; it reports
// whether it was.
func (t *Timeline) Report(r *Report) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.byNode[r.Node]
	if b == nil || !slices.Contains(b.Clients, r.Client) || b.Over() && now.Sub(b.Ended) > reportHolds {
		return false
	}
	b.Reported = &Reported{now, r.Label, fmt.Sprintf("%08x", r.Errno), meanings[r.Errno>>24], r.Attempt}
	b.note(Event{At: now, Kind: EventReport, Text: r.Label, Code: b.Reported.Errno})
	t.changedLocked(b)
	return true
}

func (r *Reported) label() string {
	if r == nil {
		return ""
	}
	return r.Label
}

// text says what was reported.
func (r *Reported) text() string {
	if r == nil {
		return ""
	}
	if r.Meaning == "" {
		return fmt.Sprintf("%s did not arrive (error %s of iPXE), attempt %d", r.Label, r.Errno, r.Attempt)
	}
	return fmt.Sprintf("%s did not arrive, %s (error %s of iPXE), attempt %d", r.Label, r.Meaning, r.Errno, r.Attempt)
}
