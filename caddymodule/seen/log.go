// SPDX-License-Identifier: Apache-2.0

package seen

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Log is what has been seen. Its methods may be called at the same time.
type Log struct {
	max int

	mu     sync.Mutex
	names  map[string]*node // by UUID and by each MAC
	nodes  int
	oldest *node // the ends of a list in the order of the last event
	newest *node
}

type node struct {
	older, newer *node
	uuid         string   // empty: a machine without a node, which has one name, a MAC
	names        []string // all by which it is found, the UUID first
	clients      []client

	state string      // for which the scripts were
	boots []time.Time // one for each script of the agent since the agent was heard of, the newest last
	loops bool
}

// client is an address that a node's script was fetched from, or its agent was heard from.
type client struct {
	address netip.Addr
	last    time.Time
}

// Bounds of what is remembered of one node: a server has a few NICs, and gets another address now and then.
const (
	maxNames   = 17
	maxClients = 16
)

// New returns an empty Log for as many nodes as max.
func New(max int) *Log {
	return &Log{max: max, names: make(map[string]*node)}
}

// Fetch is one answer with a script of the agent.
type Fetch struct {
	UUID  string // of the node, in lower case; empty: there is no node, and MAC names the machine
	MAC   string // by which it was asked for, if it was
	State string // the node's provision state
	From  netip.Addr
}

// Limit is when a node loops: so many boots within a time, without a word of its agent. The zero value is never.
type Limit struct {
	Boots  int
	Within time.Duration
	// Apart is for how long further requests are part of the boot that was counted: a bootstrap may ask for each NIC.
	Apart time.Duration
	// Hold means that a node which loops gets no script: its requests are then no boots, and the loop ends when Within
	// has passed since the last one.
	Hold bool
}

// Loop is what a Limit says of a node.
type Loop struct {
	Boots  int  // since the agent was heard of
	Loops  bool // they are too many
	Begins bool // and have just become so
}

// Script notes that a node gets the agent's script. It allocates nothing for a node that comes from where it came before.
func (l *Log) Script(f Fetch, limit Limit) Loop {
	if f.UUID == "" && f.MAC == "" {
		return Loop{}
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.touchLocked(f.UUID, f.MAC)
	n.from(f.From, now)
	return n.boot(now, f.State, limit)
}

// boot counts a boot, unless it is part of the one before or the node is held.
func (n *node) boot(now time.Time, state string, limit Limit) Loop {
	if limit.Boots == 0 {
		return Loop{}
	}
	last := time.Time{}
	if len(n.boots) > 0 {
		last = n.boots[len(n.boots)-1]
	}
	if n.state != state || now.Sub(last) > limit.Within {
		n.heard()
		n.state = state
	}
	again := len(n.boots) > 0 && now.Sub(last) < limit.Apart
	if !again && !(n.loops && limit.Hold) {
		// What is too old is dropped only when its place is needed: the number of boots is told.
		n.boots = slices.DeleteFunc(n.boots, func(t time.Time) bool { return now.Sub(t) > limit.Within })
		if len(n.boots) >= 2*limit.Boots {
			n.boots = slices.Delete(n.boots, 0, 1)
		}
		n.boots = append(n.boots, now)
	}
	begins := !n.loops && len(n.boots) >= limit.Boots
	n.loops = n.loops || begins
	return Loop{Boots: len(n.boots), Loops: n.loops, Begins: begins}
}

func (n *node) heard() { n.boots, n.loops = n.boots[:0], false }

// Heard notes that Ironic took a call of a node's agent. From is an address of the node from then on, and its boot has
// led somewhere.
func (l *Log) Heard(uuid string, from netip.Addr) {
	if uuid == "" {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.touchLocked(uuid, "")
	n.from(from, now)
	n.heard()
}

// Renew begins the time of an address anew: its node is in the middle of an image. It does nothing for an address that
// has not fetched a script of the node in the time since.
func (l *Log) Renew(uuid string, from netip.Addr, since time.Time) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.names[uuid]
	if n == nil {
		return
	}
	if i := n.find(from); i >= 0 && !n.clients[i].last.Before(since) {
		n.clients[i].last = now
		l.moveLocked(n)
	}
}

// Sight is whether, and from where, a node was seen.
type Sight struct {
	UUID  string     // of the node; empty for a machine without one
	Known bool       // within the time
	Here  bool       // from that very address
	Other netip.Addr // the last address that it was seen from otherwise
}

// Find looks for the node with a UUID or MAC that was seen since a time.
func (l *Log) Find(name string, from netip.Addr, since time.Time) Sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.names[name]
	if n == nil {
		return Sight{}
	}
	s := Sight{UUID: n.uuid}
	var newest time.Time
	for _, c := range n.clients {
		switch {
		case c.last.Before(since):
		case c.address == from:
			s.Known, s.Here = true, true
		default:
			s.Known = true
			if c.last.After(newest) {
				s.Other, newest = c.address, c.last
			}
		}
	}
	return s
}

func (n *node) find(address netip.Addr) int {
	return slices.IndexFunc(n.clients, func(c client) bool { return c.address == address })
}

func (n *node) from(address netip.Addr, now time.Time) {
	if i := n.find(address); i >= 0 {
		n.clients[i].last = now
		return
	}
	if len(n.clients) == maxClients {
		oldest := 0
		for i, c := range n.clients {
			if c.last.Before(n.clients[oldest].last) {
				oldest = i
			}
		}
		n.clients = slices.Delete(n.clients, oldest, oldest+1)
	}
	n.clients = append(n.clients, client{address, now})
}

// touchLocked finds or makes a node and makes it the newest.
func (l *Log) touchLocked(uuid, mac string) *node {
	name := uuid
	if name == "" {
		name = mac
	}
	n := l.names[name]
	if n == nil || n.uuid != uuid {
		if l.nodes >= l.max {
			l.dropLocked(l.oldest)
		}
		n = &node{uuid: uuid}
		l.nodes++
		l.nameLocked(n, name)
	}
	if mac != "" && l.names[mac] != n {
		l.nameLocked(n, mac)
	}
	l.moveLocked(n)
	return n
}

// nameLocked gives a node a name, which another one may have had.
func (l *Log) nameLocked(n *node, name string) {
	if had := l.names[name]; had != nil {
		if had.uuid == "" {
			l.dropLocked(had)
		} else {
			had.names = slices.DeleteFunc(had.names, func(s string) bool { return s == name })
		}
	}
	if len(n.names) == maxNames {
		delete(l.names, n.names[1])
		n.names = slices.Delete(n.names, 1, 2)
	}
	n.names = append(n.names, name)
	l.names[name] = n
}

func (l *Log) moveLocked(n *node) {
	if l.newest == n {
		return
	}
	l.unlinkLocked(n)
	n.older = l.newest
	if l.newest != nil {
		l.newest.newer = n
	}
	l.newest = n
	if l.oldest == nil {
		l.oldest = n
	}
}

// unlinkLocked takes a node out of the list; it need not be in it.
func (l *Log) unlinkLocked(n *node) {
	if n.older != nil {
		n.older.newer = n.newer
	} else if l.oldest == n {
		l.oldest = n.newer
	}
	if n.newer != nil {
		n.newer.older = n.older
	} else if l.newest == n {
		l.newest = n.older
	}
	n.older, n.newer = nil, nil
}

func (l *Log) dropLocked(n *node) {
	l.unlinkLocked(n)
	for _, name := range n.names {
		if l.names[name] == n {
			delete(l.names, name)
		}
	}
	l.nodes--
}
