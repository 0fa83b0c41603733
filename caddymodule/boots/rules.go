// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"fmt"
	"strings"
	"time"
)

// Diagnosis says what is wrong with a boot.
type Diagnosis struct {
	// Code is stable, and API.
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Seen is one sentence about what is seen, Next one about what to do.
	Seen string `json:"seen"`
	Next string `json:"next"`
}

// Severity is how bad it is.
type Severity string

// The severities, the worst first.
const (
	Error   Severity = "error"   // the boot goes no further until somebody does something
	Warning Severity = "warning" // it may go on by itself
	Note    Severity = "note"    // good to know
)

// Code names a diagnosis.
type Code string

// The codes that are in no rule below.
const (
	CodeUnknownMAC Code = "unknown_mac" // a machine that is no node of Ironic's asks for a script
	CodeNeverAsked Code = "never_asked" // Ironic waits for a node that asked for nothing

	codeScriptWaits Code = "script_waits"
	codeDiskLoop    Code = "disk_loop"
)

// The times after which something is found wrong.
const (
	nextFetchWithin = time.Minute // a script's images are fetched one upon the other
	waitWithin      = 2 * time.Minute
	lookupWithin    = 5 * time.Minute  // a kernel starts, finds its NICs and an address
	heartbeatWithin = 3 * time.Minute  // the first one follows the lookup
	heartbeatEvery  = 10 * time.Minute // the agent reports at least every heartbeat_timeout (300 s)
	stateWithin     = 45 * time.Minute // a large image is written meanwhile
	askWithin       = 10 * time.Minute // a server takes minutes to start
	loopAfter       = 3                // restarts
	manyAttempts    = 3
)

// rule is one thing that can be wrong. See returns a sentence about what is seen, empty if it is not so. Rules are asked in
// order, of boots under way; those with always of others, too.
type rule struct {
	code     Code
	severity Severity
	always   bool
	see      func(b *Boot, now time.Time) string
	next     string // empty: the reason's words
}

// rules are all of them. The first that holds is the diagnosis; what holds beside it is said after it.
var rules = []rule{
	{"failed", Error, true, func(b *Boot, _ time.Time) string {
		return when(b.Outcome == Failed, "Ironic shows the node as %q.", b.State)
	}, "See last_error of the node in Ironic, and the agent's log."},

	{"script_refused", Error, true, func(b *Boot, _ time.Time) string {
		bad := b.Refusals > 0 && reasonOf(b.Reason).class == classRefused || b.Kind == kindExplain
		return when(bad, "The machine gets no script: %s (%s).", reasonOf(b.Reason).seen, b.Reason)
	}, ""},
	{"nothing_to_boot", Note, true, func(b *Boot, _ time.Time) string {
		return when(b.Refusals > 0 && reasonOf(b.Reason).class == classNothing, "The machine gets no script: %s (%s).", reasonOf(b.Reason).seen, b.Reason)
	}, ""},
	{"script_delayed", Error, false, func(b *Boot, now time.Time) string {
		long := b.Refusals > 0 && reasonOf(b.Reason).class == classWait && now.Sub(b.waitingSince()) >= waitWithin
		return when(long, "The machine has waited for its script since %s: %s (%s).", clock(b.waitingSince()), reasonOf(b.Reason).seen, b.Reason)
	}, ""},
	{codeScriptWaits, Warning, false, func(b *Boot, now time.Time) string {
		short := b.Refusals > 0 && reasonOf(b.Reason).class == classWait && now.Sub(b.waitingSince()) < waitWithin
		return when(short, "The machine waits for its script: %s (%s).", reasonOf(b.Reason).seen, b.Reason)
	}, ""},

	{"lookup_guarded", Error, false, func(b *Boot, _ time.Time) string {
		return when(b.Lookup.Refused > 0 && b.Lookup.RefusedReason != "", "The agent runs, but the edge refuses its lookup (%s).", b.Lookup.RefusedReason)
	}, "See who asked and from which address: a lookup is passed on only for a machine that fetched its script from there."},
	{"lookup_unanswered", Error, false, func(b *Boot, _ time.Time) string {
		return when(b.Lookup.Refused > 0 && b.Lookup.RefusedReason == "" && unanswered(b.Lookup.RefusedStatus), "The agent runs, but Ironic does not answer its lookup%s.", status(b.Lookup.RefusedStatus))
	}, "Look at Ironic and at the line to it; the agent tries for ten minutes (ipa-lookup-timeout)."},
	{"lookup_refused", Error, false, func(b *Boot, _ time.Time) string {
		return when(b.Lookup.Refused > 0, "The agent runs, but Ironic refuses its lookup%s in state %q.", status(b.Lookup.RefusedStatus), b.State)
	}, "404 is for a state in which Ironic expects no agent and for MACs that no port has, 409 for a node that is locked: compare the node's state and ports."},
	{"heartbeat_refused", Error, false, func(b *Boot, _ time.Time) string {
		few := b.Heartbeat.RefusedStatus == 409 && b.Heartbeat.Refused < 5 // a node that is locked for a moment
		return when(b.Heartbeat.Refused > 0 && !few, "The agent reports, but its heartbeat is refused%s.", status(b.Heartbeat.RefusedStatus))
	}, "400 or 401 is for an agent without the token that Ironic gave out once: start the machine over; 5xx is for Ironic to answer for."},
	{"heartbeat_lost", Error, false, func(b *Boot, now time.Time) string {
		return when(b.Heartbeat.Taken > 0 && now.Sub(b.lastHeartbeat()) >= heartbeatEvery, "The agent has not reported since %s.", clock(b.Heartbeat.Last))
	}, "See on the console whether the agent still runs, and whether the machine still has its address."},
	{"no_heartbeat", Error, false, func(b *Boot, now time.Time) string {
		return when(b.Stage == StageLookup && b.Heartbeat.Refused == 0 && now.Sub(b.since()) >= heartbeatWithin, "Ironic answered the agent's lookup at %s, and no heartbeat came.", clock(b.since()))
	}, "See the agent's log: it locks itself when somebody else has taken its token, and stops when it cannot make its certificate or finds a wrong clock."},
	{"state_stands", Warning, false, func(b *Boot, now time.Time) string {
		return when(b.Stage == StageAgent && now.Sub(later(b.StateSince, b.since())) >= stateWithin, "The agent reports, but the node has been in state %q since %s.", b.State, clock(b.StateSince))
	}, "See the step under way (deploy_step, clean_step) of the node in Ironic, and the conductor's log."},

	{"boot_loop", Error, false, func(b *Boot, _ time.Time) string {
		return when(b.Restarts >= loopAfter && b.Lookup.Taken == 0, "The machine has asked for its script in %d boots one after the other, and no agent has looked itself up.", b.Restarts+1)
	}, "See on the console where it starts over: a kernel that panics, a ramdisk of another architecture, too little memory, a watchdog."},
	{codeDiskLoop, Warning, true, func(b *Boot, _ time.Time) string {
		return when(b.comesBack() >= loopAfter, "The machine has been sent to its disk %d times one after the other, and comes back.", b.comesBack()+1)
	}, "See whether the disk boots at all: its boot loader, the boot mode (UEFI or BIOS), the root device that was deployed to; or what restarts the machine."},

	{"image_refused", Error, false, func(b *Boot, _ time.Time) string {
		return b.firstOf(func(i *Image) string {
			bad := i.Refused != "" && i.Refused != "origin" && reasonOf(i.Refused).class != classWait
			return when(bad, "The machine is refused %s: %s (%s).", i.Label, reasonOf(i.Refused).seen, i.Refused)
		})
	}, "Mend the image's reference; docs/operating.md has what each code means."},
	{"origin_down", Error, false, func(b *Boot, _ time.Time) string {
		return b.firstOf(func(i *Image) string {
			return when(i.Refused == "origin", "The origin of %s does not deliver it.", i.Label)
		})
	}, "Look at the server that the image comes from, and at the line to it; the log has what it answered."},
	{"image_waits", Warning, false, func(b *Boot, _ time.Time) string {
		return b.firstOf(func(i *Image) string {
			waits := i.Refused != "" && reasonOf(i.Refused).class == classWait
			return when(waits, "The machine waits for %s: %s (%s).", i.Label, reasonOf(i.Refused).seen, i.Refused)
		})
	}, "The machine asks again by itself; if it lasts, look at what the code names."},
	{"image_stalled", Error, false, func(b *Boot, _ time.Time) string {
		return b.firstOf(func(i *Image) string {
			return when(i.Stalled && i.Active > 0, "%s stands still at %s since %s.", i.Label, i.reached(), clock(i.Moved))
		})
	}, "If other machines go on: NIC driver, cable or port of this one, or a link too fast for its firmware (try pace); if not: the line to the image's origin."},
	{"image_broken", Error, false, func(b *Boot, now time.Time) string {
		return b.firstOf(func(i *Image) string {
			left := i.Breaks > 0 && i.left(now)
			return when(left, "%s broke off at %s, and has not been asked for again since %s.", i.Label, i.reached(), clock(i.Moved))
		})
	}, "See on the console what iPXE says; a machine out of memory, or one that was switched off, ends like this."},
	{"machine_reports", Warning, true, func(b *Boot, now time.Time) string {
		r := b.Reported
		return when(r != nil && now.Sub(r.At) < reportHolds && (b.image(r.label()) == nil || !b.image(r.label()).Done), "The machine itself says: %s.", r.text())
	}, "If only this one says so: its NIC, cable or port; if others do, too: the edge and the image's origin."},
	{"image_retried", Warning, false, func(b *Boot, _ time.Time) string {
		return b.firstOf(func(i *Image) string {
			return when(i.Attempts >= manyAttempts && !i.Done, "The machine fetches %s for the %d. time.", i.Label, i.Attempts)
		})
	}, "Something on the way breaks the transfer or spoils it: look for loss on the machine's port, and try pace."},
	{"kernel_not_asked", Error, false, func(b *Boot, now time.Time) string {
		silent := len(b.Images) == 0 && b.Stage == StageKernel && now.Sub(b.Given) >= nextFetchWithin
		return when(silent, "The machine was given its script at %s, and has not asked for the kernel.", clock(b.Given))
	}, "See whether it reaches the address in the script (public_url), and what is on the console."},
	{"ramdisk_not_asked", Error, false, func(b *Boot, now time.Time) string {
		return b.firstOf(func(i *Image) string {
			silent := i.Done && b.Stage == StageKernel && stageOf(i.Label) == StageKernel && now.Sub(i.Ended) >= nextFetchWithin
			return when(silent, "The kernel arrived at %s, and the machine has not asked for the ramdisk.", clock(i.Ended))
		})
	}, "See on the console what iPXE says of the kernel: a wrong architecture or a bad signature (Secure Boot) ends here."},
	{"no_lookup", Error, false, func(b *Boot, now time.Time) string {
		silent := b.Stage == StageStart && b.Lookup.Refused == 0 && now.Sub(b.since()) >= lookupWithin
		return when(silent, "Kernel and ramdisk arrived at %s, and no agent has looked itself up.", clock(b.since()))
	}, "See on the console whether the kernel panics or the ramdisk lacks the NIC's driver; if the agent runs, whether it reaches ipa-api-url from its address."},

	{"two_nics", Note, true, func(b *Boot, _ time.Time) string {
		return when(b.Racing, "Two NICs of the node were given a script in one boot: %s.", strings.Join(b.MACs, ", "))
	}, "If it should boot from one, set pxe_enabled off on the port of the other, or network boot off in its firmware."},
}

// Told returns the codes that notices have: of boots that are stuck, of loops into the disk, of nodes that never asked.
func Told() []Code {
	codes := []Code{CodeNeverAsked, codeDiskLoop}
	for _, r := range rules {
		if r.severity == Error {
			codes = append(codes, r.code)
		}
	}
	return codes
}

// diagnose asks the rules of a boot.
func (b *Boot) diagnose(now time.Time) []Diagnosis {
	under := b.Outcome == Running || b.Outcome == Stuck
	stays := now.Sub(b.Seen) >= loopWithin
	if b.Over() {
		now = b.Ended
	}
	var found, warnings, notes []Diagnosis
	for _, r := range rules {
		if !under && !r.always || stays && r.code == codeDiskLoop {
			continue
		}
		seen := r.see(b, now)
		if seen == "" {
			continue
		}
		next := r.next
		if next == "" {
			next = reasonOf(b.Reason).next
		}
		to := &found
		switch r.severity {
		case Warning:
			to = &warnings
		case Note:
			to = &notes
		}
		*to = append(*to, Diagnosis{r.code, r.severity, seen, next})
	}
	return append(append(found, warnings...), notes...)
}

// when is a sentence if it is true.
func when(is bool, format string, values ...any) string {
	if !is {
		return ""
	}
	return fmt.Sprintf(format, values...)
}

func clock(t time.Time) string { return t.Format(time.TimeOnly) }

func status(n int) string { return when(n != 0, " (status %d)", n) }

func unanswered(status int) bool { return status == 0 || status >= 500 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// comesBack is how often in a row the machine has come back from its disk.
func (b *Boot) comesBack() int {
	if b.Kind != kindDisk {
		return 0
	}
	return b.Restarts + b.Returns
}

// since is when the stage began.
func (b *Boot) since() time.Time {
	if n := len(b.Stages); n > 0 {
		return b.Stages[n-1].Begun
	}
	return b.Started
}

// waitingSince is when the machine was first refused since its last script.
func (b *Boot) waitingSince() time.Time { return later(b.Started, b.Given) }

// lastHeartbeat is when the agent was last heard, refused or not.
func (b *Boot) lastHeartbeat() time.Time { return later(b.Heartbeat.Last, b.Heartbeat.RefusedLast) }

// firstOf is the first sentence that there is about an image.
func (b *Boot) firstOf(see func(*Image) string) string {
	for i := range b.Images {
		if seen := see(&b.Images[i]); seen != "" {
			return seen
		}
	}
	return ""
}

// left reports whether the machine left an image alone before it had all of it. Of an ISO a machine reads what it needs.
func (i *Image) left(now time.Time) bool {
	return !i.Done && i.Active == 0 && stageOf(i.Label) != StageISO && now.Sub(i.Moved) >= nextFetchWithin
}

// reached is how much of an image is there, in words.
func (i *Image) reached() string {
	if i.Size == 0 {
		return fmt.Sprintf("%d bytes", i.Covered)
	}
	return fmt.Sprintf("%d %%", i.Percent)
}
