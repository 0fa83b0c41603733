// SPDX-License-Identifier: Apache-2.0

package boots

import (
	"net/netip"
	"slices"
	"time"
)

// Boot is one boot of a machine, as the API shows it and the journal keeps it. Times that are zero have not come.
type Boot struct {
	// ID names the boot. It sorts by time.
	ID string `json:"id"`
	// Node is the UUID of the node and Name its name in Ironic.
	Node string `json:"node"`
	Name string `json:"name,omitempty"`
	// MACs are the NICs that asked or that the agent named, Clients the addresses they asked from.
	MACs    []string     `json:"macs,omitempty"`
	Clients []netip.Addr `json:"clients,omitempty"`
	// Firmware is what the machine calls itself, such as iPXE/1.21.1+.
	Firmware string `json:"firmware,omitempty"`

	// Started is when the machine asked first, Seen when anything was last seen of the boot, Ended when it was over.
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
	Ended   time.Time `json:"ended,omitzero"`

	// Kind is what the script boots and Reason why it was chosen, or why there was none. Cache is how the node was found.
	Kind   string `json:"kind,omitempty"`
	Reason string `json:"reason,omitempty"`
	Cache  string `json:"cache,omitempty"`
	// State is the provision state as last seen, since StateSince.
	State      string    `json:"provision_state,omitempty"`
	StateSince time.Time `json:"provision_state_since,omitzero"`
	// RequestIDs are those that the first and the last scripts had for the agent. Traced says that a trace has the id of the
	// first one.
	RequestIDs []string `json:"request_ids,omitempty"`
	Traced     bool     `json:"traced,omitempty"`
	// Scripts is how many scripts were given, Refusals how many requests for one were refused, since the last was given.
	Scripts  int `json:"scripts"`
	Refusals int `json:"refusals,omitempty"`
	// Restarts is how many boots went before this one within half an hour of each other whose agent never looked itself up,
	// with their Returns. Returns is how often in this boot the NIC that asked first was sent to its disk again.
	Restarts int `json:"restarts,omitempty"`
	Returns  int `json:"returns,omitempty"`
	// Reported is the last failure that the machine itself told of.
	Reported *Reported `json:"reported,omitempty"`
	// Given is when the last script was given, Racing that two NICs were given one within seconds.
	Given  time.Time `json:"script_given,omitzero"`
	Racing bool      `json:"two_nics,omitempty"`

	// Images are those that were asked for, in the order in which they were.
	Images []Image `json:"images,omitempty"`
	// Lookup and Heartbeat are what came of the agent's calls.
	Lookup    Calls `json:"lookup,omitzero"`
	Heartbeat Calls `json:"heartbeat,omitzero"`

	// Stage is where the boot is, or was when it ended, and Stages how long each one took.
	Stage  Stage   `json:"stage"`
	Stages []Phase `json:"stages"`
	// Outcome is what came of it; Stuck for one that is under way says that it makes no progress.
	Outcome Outcome `json:"outcome"`
	// Events are what happened, oldest first. Dropped is how many are missing, after the first few.
	Events  []Event `json:"events"`
	Dropped int     `json:"events_dropped,omitempty"`
	// Diagnoses say what is wrong, the worst first.
	Diagnoses []Diagnosis `json:"diagnoses,omitempty"`
}

// Calls are the agent's calls of one sort.
type Calls struct {
	// Taken is how many Ironic took, First and Last when. Refused is how many were refused since the last one taken, with
	// RefusedStatus and perhaps RefusedReason, a code of the edge's own.
	Taken         int       `json:"taken,omitempty"`
	First         time.Time `json:"first,omitzero"`
	Last          time.Time `json:"last,omitzero"`
	Refused       int       `json:"refused,omitempty"`
	RefusedStatus int       `json:"refused_status,omitempty"`
	RefusedReason string    `json:"refused_reason,omitempty"`
	RefusedLast   time.Time `json:"refused_last,omitzero"`
}

// Stage is how far a boot got.
type Stage string

// The stages, in their order.
const (
	StageScript  Stage = "script"  // it asks for its script
	StageKernel  Stage = "kernel"  // it has the script, or fetches the kernel
	StageRamdisk Stage = "ramdisk" // it fetches the ramdisk
	StageISO     Stage = "iso"     // it reads an ISO
	StageStart   Stage = "start"   // it has the images; the kernel starts
	StageLookup  Stage = "lookup"  // the agent has looked itself up
	StageAgent   Stage = "agent"   // the agent reports to Ironic
	StageDone    Stage = "done"
)

// Stages are all of them.
var Stages = []Stage{StageScript, StageKernel, StageRamdisk, StageISO, StageStart, StageLookup, StageAgent, StageDone}

// Phase is the time in a stage. One that goes on has no end.
type Phase struct {
	Stage Stage     `json:"stage"`
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"`
}

// Outcome is what came of a boot.
type Outcome string

// The outcomes.
const (
	Running    Outcome = "running"    // it is under way
	Stuck      Outcome = "stuck"      // it is under way, or was given up, and went no further
	Finished   Outcome = "finished"   // the machine went on to its disk or instance, or Ironic has what it wanted of it
	Failed     Outcome = "failed"     // Ironic says so
	Refused    Outcome = "refused"    // there was nothing for the machine to boot
	Superseded Outcome = "superseded" // the machine began another one
)

// Outcomes are all of them.
var Outcomes = []Outcome{Running, Stuck, Finished, Failed, Refused, Superseded}

// Over reports whether the boot has ended.
func (b *Boot) Over() bool { return !b.Ended.IsZero() }

// MaxMACs is how many NICs of a machine are remembered.
const MaxMACs = 8

// What else bounds a boot.
const (
	maxEvents   = 64
	firstEvents = 16 // that are kept when there are more
	maxClients  = 4
	maxIDs      = 4
	maxPhases   = 24
	maxImages   = 12
)

// clone copies a boot with all that it holds.
func (b *Boot) clone() Boot {
	c := *b
	c.MACs, c.Clients, c.RequestIDs = slices.Clone(b.MACs), slices.Clone(b.Clients), slices.Clone(b.RequestIDs)
	c.Images, c.Stages, c.Events = slices.Clone(b.Images), slices.Clone(b.Stages), slices.Clone(b.Events)
	c.Diagnoses = nil
	return c
}

// enter begins a stage, which ends the one before.
func (b *Boot) enter(s Stage, now time.Time) {
	if b.Stage == s && len(b.Stages) > 0 {
		return
	}
	b.Stage = s
	if n := len(b.Stages); n > 0 && b.Stages[n-1].Ended.IsZero() {
		b.Stages[n-1].Ended = now
	}
	if s != StageDone && len(b.Stages) < maxPhases {
		b.Stages = append(b.Stages, Phase{Stage: s, Begun: now})
	}
}

// Took returns how long the boot was in a stage, all in all.
func (b *Boot) Took(s Stage) time.Duration {
	var d time.Duration
	for _, p := range b.Stages {
		if p.Stage == s && !p.Ended.IsZero() {
			d += p.Ended.Sub(p.Begun)
		}
	}
	return d
}

// image returns the record of a label. Nil: there is none.
func (b *Boot) image(label string) *Image {
	for i := range b.Images {
		if b.Images[i].Label == label {
			return &b.Images[i]
		}
	}
	return nil
}

// addMAC remembers a NIC of the machine.
func (b *Boot) addMAC(mac string) {
	if mac != "" && len(b.MACs) < MaxMACs && !slices.Contains(b.MACs, mac) {
		b.MACs = append(b.MACs, mac)
	}
}

// addClient remembers where the machine asked from; the last address is the one that it has now.
func (b *Boot) addClient(client netip.Addr) {
	if n := len(b.Clients); !client.IsValid() || n > 0 && b.Clients[n-1] == client {
		return
	}
	b.Clients = slices.DeleteFunc(b.Clients, func(a netip.Addr) bool { return a == client })
	if len(b.Clients) == maxClients {
		b.Clients = slices.Delete(b.Clients, 0, 1)
	}
	b.Clients = append(b.Clients, client)
}
