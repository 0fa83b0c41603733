// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestSiteWaitersAreBounded has more machines ask at once than may wait for a reading: the others are told to come back at
// once, and find it.
func TestSiteWaitersAreBounded(t *testing.T) {
	const machines = 2000
	nodes := make([]ironictest.Node, machines)
	for i := range nodes {
		nodes[i] = ironictest.Node{UUID: nodeUUID(i + 1), ProvisionState: "wait call-back", ConductorGroup: "rack17",
			DriverInfo: map[string]any{"deploy_kernel": "http://images.test/k", "deploy_ramdisk": "http://images.test/r"},
			Ports:      []ironictest.Port{{Address: fmt.Sprintf("52:54:00:17:%02x:%02x", i/256, i%256)}}}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRack(t, sitePart{scope: ironic.Scope{ConductorGroup: "rack17"}}, nodes...)
		r.start(t)
		defer r.stop(t)
		synctest.Wait()
		later(2 * defaultNodeTTL)
		r.line.delay.Store(int64(50 * time.Millisecond))
		r.h.terms.Patience = time.Minute
		var slow, served atomic.Int64
		ask := func(i int) {
			start := time.Now()
			switch _, err := r.ask(t.Context(), fmt.Sprintf("mac 52:54:00:17:%02x:%02x", i/256, i%256)); {
			case err == nil:
				served.Add(1)
			case errors.Is(err, lookup.ErrSlow) && time.Since(start) == 0:
				slow.Add(1)
			default:
				t.Errorf("machine %d: %v after %s", i, err, time.Since(start))
			}
		}
		var storm sync.WaitGroup
		for i := range nodes {
			storm.Go(func() { ask(i) })
		}
		storm.Wait()
		if slow.Load() < machines-1024-machines/50 || slow.Load() > machines-1024 {
			t.Errorf("%d of %d are told to come back", slow.Load(), machines)
		}
		served.Store(0)
		slow.Store(0)
		later(time.Second)
		for i := range nodes {
			ask(i)
		}
		if served.Load() != machines {
			t.Errorf("%d of %d are served afterwards", served.Load(), machines)
		}
	})
}
