// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"maps"
	"sync"
	"time"
)

// exchanges are calls under way and those answered lately whose answers hold secrets: lookups, and the conductor's scripts. Ironic
// gives an agent's token away once; where the answer does not reach the agent, the agent cannot go on. So a call goes on when its
// client is gone, and whoever asks the same again from the same address gets that answer, once. It is in memory only. The zero
// value is ready.
type exchanges struct {
	mu    sync.Mutex
	byKey map[string]*exchange
	bytes int // of the answers that are kept
}

// exchange is one call. The fields below done are guarded by exchanges.mu.
type exchange struct {
	done   chan struct{} // closed when it has been answered, or was in vain
	answer *heldAnswer   // nil: none, or none any more
	left   int           // how often it may still be given
	timer  *time.Timer
}

const (
	// keepAnswer is for how long a lookup's answer can be had again. The agent gives up a call after 30 s and asks again within
	// a minute (ironic_python_agent/ironic_api_client.py: lookup_node).
	keepAnswer = time.Minute
	// exchangeTime is for how long Ironic's answer is waited for, whether or not the client waits. Ironic's own limit
	// for the call of a conductor behind it is a minute ([DEFAULT]rpc_response_timeout).
	exchangeTime = 90 * time.Second
	// givenAtMost is how often one answer is given in all.
	givenAtMost = 2
	// maxKept bounds the answers that are kept: some twenty thousand.
	maxKept = 64 << 20
)

// join returns the exchange for a key. First means that it is new, and that whoever asks is to do it and to call finish.
func (x *exchanges) join(key string) (e *exchange, first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.byKey[key]; e != nil {
		return e, false
	}
	if x.byKey == nil {
		x.byKey = make(map[string]*exchange)
	}
	e = &exchange{done: make(chan struct{})}
	x.byKey[key] = e
	return e, true
}

// finish ends an exchange. The answer, unless it is nil, can then be had as often as left says, for as long as keep. It is copied.
func (x *exchanges) finish(key string, e *exchange, answer *heldAnswer, left int, keep time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer close(e.done)
	if answer == nil || x.bytes+len(answer.body) > maxKept {
		x.dropLocked(key, e)
		return
	}
	e.answer, e.left = answer.clone(), left
	x.bytes += len(answer.body)
	e.timer = time.AfterFunc(keep, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.dropLocked(key, e)
	})
}

// take returns a copy of the answer, if there is one, and counts it as given.
func (x *exchanges) take(key string, e *exchange) (*heldAnswer, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.answer == nil {
		return nil, false
	}
	answer := e.answer.clone()
	if e.left--; e.left == 0 {
		x.dropLocked(key, e)
	}
	return answer, true
}

// dropLocked forgets an exchange and overwrites its answer.
func (x *exchanges) dropLocked(key string, e *exchange) {
	if x.byKey[key] == e {
		delete(x.byKey, key)
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	if e.answer != nil {
		x.bytes -= len(e.answer.body)
		e.answer.clear()
		e.answer = nil
	}
}

// close forgets all that is kept.
func (x *exchanges) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, e := range x.byKey {
		x.dropLocked(key, e)
	}
}

// clone copies an answer that has not gone through.
func (a *heldAnswer) clone() *heldAnswer {
	return &heldAnswer{header: maps.Clone(a.header), status: a.status, body: bytes.Clone(a.body)}
}
