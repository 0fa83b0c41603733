// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
)

// refusals are the last requests that were refused, for people to look at.
type refusals struct {
	mu   sync.Mutex
	ring [20]api.Refusal
	next int
}

// longestPath is how much of a path is kept.
const longestPath = 200

// add remembers a refusal. A path has no query, and so no signature.
func (l *refusals) add(r *http.Request, f refusal) {
	one := api.Refusal{Time: time.Now(), Status: f.status, Reason: f.reason, Path: r.URL.Path[:min(len(r.URL.Path), longestPath)], Client: clientAddress(r).String()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.next%len(l.ring)] = one
	l.next++
}

// list returns them, the newest first.
func (l *refusals) list() []api.Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	listed := make([]api.Refusal, 0, len(l.ring))
	for i := range min(l.next, len(l.ring)) {
		listed = append(listed, l.ring[(l.next-1-i)%len(l.ring)])
	}
	return listed
}
