// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"container/list"
	"net/netip"
	"strings"
	"time"
)

// Stray is a machine that asked for a script and is no node as far as is known.
type Stray struct {
	MAC      string     `json:"mac"`
	Client   netip.Addr `json:"client,omitzero"`
	Firmware string     `json:"firmware,omitempty"`
	First    time.Time  `json:"first"`
	Last     time.Time  `json:"last"`
	Count    int        `json:"count"`
	// Kind is what it was given to boot all the same, if anything, and Reason the code of the answer.
	Kind      string    `json:"kind,omitempty"`
	Reason    string    `json:"reason"`
	Diagnosis Diagnosis `json:"diagnosis"`

	told  time.Time
	place *list.Element // in strays.order
}

const (
	maxStrays = 256
	// strayAgain is after what time a stray that is still there is told of again.
	strayAgain = 10 * time.Minute
	// strayBurst is how many are told of in a minute.
	strayBurst = 10
)

// strays are the last machines of that sort. Anybody can name any number of them, so that no request may cost more for there
// being many.
type strays struct {
	byMAC  map[string]*Stray
	order  list.List // of *Stray, by Last
	minute time.Time // since when told are counted
	told   int
}

func (s *strays) remove(mac string) {
	if stray := s.byMAC[mac]; stray != nil {
		s.order.Remove(stray.place)
		delete(s.byMAC, mac)
	}
}

// strayLocked records that a machine without a node asked.
func (t *Timeline) strayLocked(asked *Script, now time.Time) {
	if asked.MAC == "" {
		return
	}
	s := &t.strays
	stray := s.byMAC[asked.MAC]
	if stray == nil {
		if s.byMAC == nil {
			s.byMAC = make(map[string]*Stray)
		}
		if len(s.byMAC) >= maxStrays {
			s.remove(s.order.Front().Value.(*Stray).MAC)
		}
		stray = &Stray{MAC: strings.Clone(asked.MAC), First: now}
		s.byMAC[stray.MAC], stray.place = stray, s.order.PushBack(stray)
	}
	s.order.MoveToBack(stray.place)
	stray.Client, stray.Last, stray.Kind, stray.Reason = asked.Client, now, asked.Kind, asked.Reason
	stray.Count++
	if asked.Firmware != "" && stray.Firmware == "" {
		stray.Firmware = plainText(asked.Firmware)
	}
	if asked.Reason == ReasonNoNode && (stray.told.IsZero() || now.Sub(stray.told) >= strayAgain) && s.mayTell(now) {
		stray.told = now
		t.tellLocked(note{kind: NoticeUnknownMAC, stray: stray.shown()})
	}
	t.changedLocked(nil)
}

// mayTell takes part in what may be told in a minute.
func (s *strays) mayTell(now time.Time) bool {
	if now.Sub(s.minute) >= time.Minute {
		s.minute, s.told = now, 0
	}
	s.told++
	return s.told <= strayBurst
}

// followStrayLocked has a boot begin where its machine first asked, when Ironic could not tell whose it is.
func (t *Timeline) followStrayLocked(b *boot, mac string, now time.Time) {
	stray := t.strays.byMAC[mac]
	if stray == nil || now.Sub(stray.Last) > again || reasonOf(stray.Reason).class != classWait {
		return
	}
	b.Started, b.Stages[0].Begun = stray.First, stray.First
	b.Refusals = stray.Count
	e := Event{At: stray.First, Kind: EventRefused, Code: stray.Reason}
	if stray.Count > 1 {
		e.Count, e.Last = stray.Count, stray.Last
	}
	b.note(e)
}

func (s *Stray) shown() Stray {
	c := *s
	c.place = nil
	words := reasonOf(s.Reason)
	code := CodeUnknownMAC
	if words.class == classWait {
		code = codeScriptWaits // whose it is cannot be told
	}
	c.Diagnosis = Diagnosis{Code: code, Severity: Warning, Seen: "The machine with the MAC " + s.MAC + " asks for a script, and " + words.seen + ".", Next: words.next}
	return c
}
