// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"context"
	"time"
)

// Notice is something that whoever runs the timeline is told of.
type Notice struct {
	Kind NoticeKind
	Boot Boot // of NoticeStarted, NoticeStuck and NoticeEnded
	// Diagnosis is why, for NoticeStuck and NoticeSilent.
	Diagnosis Diagnosis
	Stray     Stray  // of NoticeUnknownMAC
	Silent    Silent // of NoticeSilent
	Err       error  // of NoticeJournal
}

// NoticeKind is what a notice is about.
type NoticeKind uint8

// The kinds of notices.
const (
	NoticeStarted    NoticeKind = iota // a boot began
	NoticeStuck                        // a boot is found to go no further, once for each diagnosis
	NoticeEnded                        // a boot is over
	NoticeUnknownMAC                   // a machine that is no node asked; a few in a minute are told
	NoticeSilent                       // a node for which Ironic waits has not asked
	NoticeJournal                      // the journal cannot be written
)

// note is a notice in the making: what it shows is copied off the path of the request.
type note struct {
	kind      NoticeKind
	boot      *boot
	diagnosis Diagnosis
	stray     Stray
	silent    Silent
	err       error
}

const (
	// sampleEvery is how often transfers are looked at.
	sampleEvery = 5 * time.Second
	// maxUntold bounds the notices that wait; what comes then is not told.
	maxUntold = 4096
)

// tellLocked has a notice told soon.
func (t *Timeline) tellLocked(n note) {
	if len(t.untold) == maxUntold {
		return
	}
	t.untold = append(t.untold, n)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run looks after the timeline until the context ends: it sees that transfers move, finds what is stuck, gives up what is
// dead, writes the journal if there is one, and tells of it. One goroutine runs it; tell is called by that one and may
// take its time.
func (t *Timeline) Run(ctx context.Context, journal *Journal, tell func(Notice)) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-t.wake:
		case now := <-ticker.C:
			t.look(now)
			t.write(journal)
		case <-ctx.Done():
			t.tellAll(tell)
			t.write(journal)
			return
		}
		t.tellAll(tell)
	}
}

// tellAll tells what is to be told.
func (t *Timeline) tellAll(tell func(Notice)) {
	t.mu.Lock()
	notes := t.untold
	t.untold = nil
	t.mu.Unlock()
	for _, n := range notes {
		notice := Notice{Kind: n.kind, Diagnosis: n.diagnosis, Stray: n.stray, Silent: n.silent, Err: n.err}
		if n.boot != nil {
			t.mu.Lock()
			notice.Boot = t.shownLocked(n.boot, time.Now())
			t.mu.Unlock()
		}
		tell(notice)
	}
}

// look sees how far all boots are.
func (t *Timeline) look(now time.Time) {
	for _, b := range t.all() {
		t.mu.Lock()
		if !b.evicted && !b.Over() {
			t.lookLocked(b, now)
		}
		t.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.expected {
		if !e.told && t.silentLocked(e, now) {
			e.told = true
			silent := e.shown()
			t.tellLocked(note{kind: NoticeSilent, silent: silent, diagnosis: silent.Diagnosis})
		}
	}
}

// tellDiskLoopLocked tells of a machine that comes back from its disk again and again, once for as long as it does. Its boots
// are over as soon as they begin, so that nothing is seen of them later.
func (t *Timeline) tellDiskLoopLocked(b *boot, now time.Time) {
	if b.found[codeDiskLoop] || b.comesBack() < loopAfter {
		return
	}
	if b.found == nil {
		b.found = make(map[Code]bool)
	}
	b.found[codeDiskLoop] = true
	for _, d := range b.diagnose(now) {
		if d.Code == codeDiskLoop {
			t.tellLocked(note{kind: NoticeStuck, boot: b, diagnosis: d})
		}
	}
}

// lookLocked looks at a boot that is under way.
func (t *Timeline) lookLocked(b *boot, now time.Time) {
	if b.sampleLocked(now) {
		t.changedLocked(nil) // the journal does without
	}
	for _, d := range b.diagnose(now) {
		if b.found[d.Code] {
			continue
		}
		if b.found == nil {
			b.found = make(map[Code]bool)
		}
		b.found[d.Code] = true
		t.changedLocked(b)
		if d.Severity == Error {
			t.tellLocked(note{kind: NoticeStuck, boot: b, diagnosis: d})
		}
	}
	idle := now.Sub(b.Seen)
	switch {
	case b.Refusals > 0 && reasonOf(b.Reason).class == classNothing && idle >= settle: // no other NIC had better luck
		t.endLocked(b, Refused, b.Reason, now)
	case b.Stage == StageISO && len(b.transfers) == 0 && idle >= bootsISO && b.Kind == kindRamdisk:
		t.endLocked(b, Finished, "", now)
	case idle >= giveUp && b.Kind == KindConductor && b.Stage == StageScript: // it went where this edge sees nothing of it
		t.endLocked(b, Finished, "", now)
	case idle >= giveUp:
		t.endLocked(b, Stuck, "", now)
	}
}
