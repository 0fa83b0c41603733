// SPDX-License-Identifier: Apache-2.0

// Package api is what an edge tells of itself: the answers of the admin API below /ironic_edge/v1, which the commands and
// the status page show, too. Fields may be added; what is here keeps its name and meaning.
//
//	GET  status                        what the edges of this process do now
//	GET  nodes                         the nodes that are known
//	GET  explain?node=NAME[&state=S]   which script a node gets, and why
//	GET  boots[?node=NAME]             the last boots, the newest first
//	GET  boots/stream                  server-sent events: the number of a change to the boots
//	GET  silent                        nodes for which Ironic waits, and that have not asked
//	GET  unknown                       MAC addresses that asked and that Ironic does not know
//	GET  images                        what is in the store
//	GET  doctor                        what can be found out about the surroundings
//	GET  diff?node=NAME                our script's trace beside that of the conductor's
//	POST prefetch   {"image": REF}     has an image in the store; tells of progress, a line each
//	POST purge      {"image": KEY}     takes an image out of the store
//	POST scrub                         compares every block with its checksum; tells of progress, a line each
//	POST refresh    {"node": NAME}     asks Ironic anew when the node asks next
//
// NAME is a node's UUID or name or the MAC address of one of its ports. Where the process has several edges, edge=NAME
// chooses one, by its name in status. An error is {"error": "…", "reason": CODE} with a status that fits it: 400 for a
// request that cannot be read, 404 for what is not there, 405 for another method, 422 for what cannot be done, 503 while
// Ironic cannot be asked, or when the process has no edge. What goes wrong later stands in the last line of progress.
package api

import "time"

// Prefix is where the admin API of this version is.
const Prefix = "/ironic_edge/v1/"

// Error is the answer to what cannot be done.
type Error struct {
	Text   string `json:"error"`
	Reason string `json:"reason"`
}

// Status is what the edges of a process do now.
type Status struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	Edges   []Edge    `json:"edges"`
}

// Edge is one ironic_edge of the configuration.
type Edge struct {
	Name          string         `json:"name"` // public_url, or the address of its site, with more where edges would be called the same
	Ironic        Ironic         `json:"ironic"`
	Notifications *Notifications `json:"notifications,omitempty"`
	Inventory     *Inventory     `json:"inventory,omitempty"`
	Store         *Store         `json:"store,omitempty"`
	Boots         map[string]int `json:"boots,omitempty"`  // that are remembered, by outcome
	Stages        map[string]int `json:"stages,omitempty"` // boots that are under way, by how far they are
	Stuck         int            `json:"stuck"`            // those of them that go no further
	Refusals      []Refusal      `json:"refusals,omitempty"`
}

// Ironic is how the way to Ironic is.
type Ironic struct {
	URLs   []string   `json:"urls"`
	Up     bool       `json:"up"`
	Since  *time.Time `json:"since,omitempty"`
	Reason string     `json:"reason,omitempty"` // why it is not up
}

// Notifications is how the way to the broker is on which Ironic says what changed.
type Notifications struct {
	Broker    string     `json:"broker"` // host:port
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since,omitempty"`        // of the connection
	Last      *time.Time `json:"last_message,omitempty"` // over this connection or an earlier one
	Reason    string     `json:"reason,omitempty"`       // why there is no connection
}

// Inventory is what is known of a site's nodes.
type Inventory struct {
	Scope  string         `json:"scope"`
	Nodes  int            `json:"nodes"`
	States map[string]int `json:"states"` // nodes by provision state
	Age    float64        `json:"age"`    // of the last pass, seconds
}

// Store is where images are kept, and what that saved.
type Store struct {
	Directory string `json:"directory"`
	Objects   int    `json:"objects"`
	Filling   int    `json:"filling"`
	Used      int64  `json:"used"`    // bytes
	Size      int64  `json:"size"`    // bytes, max_size
	Fetched   int64  `json:"fetched"` // bytes, from origins, since the process began
	Sent      int64  `json:"sent"`    // bytes, to clients, since the process began
	Bad       int64  `json:"bad"`     // objects that were not what they should be
}

// Refusal is a request that was refused.
type Refusal struct {
	Time   time.Time `json:"time"`
	Status int       `json:"status"`
	Reason string    `json:"reason"`
	Path   string    `json:"path"`
	Client string    `json:"client"`
}

// Node is what is known of a node.
type Node struct {
	Edge    string    `json:"edge"`
	UUID    string    `json:"uuid"`
	Name    string    `json:"name,omitempty"`
	Asset   string    `json:"asset,omitempty"` // asset_tag or serial_number of its properties
	MACs    []string  `json:"macs"`
	State   string    `json:"provision_state"`
	Age     float64   `json:"age"` // since Ironic said so, seconds
	Stage   string    `json:"stage,omitempty"`
	Advice  string    `json:"advice,omitempty"`
	Changed time.Time `json:"provision_updated_at,omitzero"`
	Asked   time.Time `json:"last_asked,omitzero"` // when it was last seen in a boot, kept or not
}

// Image is an object of the store.
type Image struct {
	Edge    string     `json:"edge"`
	ID      string     `json:"id"`
	Keys    []string   `json:"keys"`
	Size    int64      `json:"size"` // bytes; -1 while nobody knows
	Stored  int64      `json:"stored"`
	State   string     `json:"state"` // whole, filling or partial
	Rate    float64    `json:"rate,omitempty"`
	Readers int        `json:"readers"`
	Used    time.Time  `json:"used"`
	Digest  string     `json:"digest,omitempty"` // the algorithm, where one is known
	Pinned  bool       `json:"pinned,omitempty"`
	ETA     *time.Time `json:"eta,omitempty"`
}

// Explanation is which script a node gets, and why.
type Explanation struct {
	Edge     string   `json:"edge,omitempty"`
	Node     Node     `json:"node"`
	Kind     string   `json:"kind"`   // of the script; empty: none
	Reason   string   `json:"reason"` // code
	Why      []string `json:"why"`    // each decision, in the order in which they were made
	Script   string   `json:"script,omitempty"`
	Withheld bool     `json:"withheld,omitempty"` // it has secrets, so it is not shown
}

// Check is a thing that the doctor looked at.
type Check struct {
	Edge   string `json:"edge,omitempty"`
	Name   string `json:"name"`
	Result string `json:"result"` // good, warning, bad or skipped
	Seen   string `json:"seen"`
	Next   string `json:"next,omitempty"` // what to do
}

// Diff is our script's trace beside that of the conductor's.
type Diff struct {
	Node   Node     `json:"node"`
	Same   bool     `json:"same"`
	Case   string   `json:"case"` // what goes wrong in the first case in which they differ
	Ours   []string `json:"ours"`
	Theirs []string `json:"theirs"`
}

// Progress is a line of long work.
type Progress struct {
	Done  int64  `json:"done"`
	Of    int64  `json:"of"`   // -1: nobody knows
	Unit  string `json:"unit"` // bytes or objects
	Bad   int64  `json:"bad,omitempty"`
	Error string `json:"error,omitempty"`
	End   bool   `json:"end,omitempty"`
}
