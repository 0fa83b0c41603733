// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
	"github.com/ironic-edge/ironic-edge/ironic"
)

var floodMACs = flag.Int("macs", 150_000, "how many addresses TestMillionsOfMACs makes up")

// floodMAC is the n-th address that a hostile client makes up.
func floodMAC(n int) string {
	var text [17]byte
	for i, b := range [6]byte{2, byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} {
		hex.Encode(text[3*i:], []byte{b})
		if i < 5 {
			text[3*i+2] = ':'
		}
	}
	return string(text[:])
}

// floodOne is what a request for a MAC leaves behind in a site, without HTTP: in the cache, the gate, what is counted for clients, the
// timeline and the log of strangers.
func (s *site) floodOne(ctx context.Context, n int, terms *lookup.Terms[*knownNode], ask func(context.Context) error) error {
	mac := floodMAC(n)
	client := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	entry, err := s.nodes.Get(ctx, "mac "+mac, terms, func(ctx context.Context, key string) (*knownNode, error) {
		_ = s.rates.admit(client.String(), defaultClientRate)
		return nil, s.gate.ask(ctx, key, ask)
	})
	reason := reasonUnavailable
	if errors.Is(err, ironic.ErrNoNode) {
		reason = reasonNoNode
		s.strangers.Script(seen.Fetch{MAC: mac, From: client}, seen.Limit{}) // unknown_mac inspect
	}
	s.boots.Script(&boots.Script{MAC: mac, Client: client, Firmware: "iPXE/1.21.1", Reason: reason, Cache: entry.Status.Label()})
	if entry.Status != cache.Miss {
		return errors.New("a MAC that was never asked for is known")
	}
	return err
}

// TestMillionsOfMACs has a hostile client make up addresses, half of them while Ironic says that there is no such node, and half while it is
// down. The process does not grow. `make flood` makes them ten million.
func TestMillionsOfMACs(t *testing.T) {
	s, err := newSite("http://flood.test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Destruct(); err != nil {
			t.Error(err)
		}
	}()
	s.gate.check = func(context.Context) error { return errRefused }
	terms := &lookup.Terms[*knownNode]{Value: defaultNodeTTL, Negative: defaultNegativeTTL, Patience: defaultDeadline}
	var down atomic.Bool
	none := &ironic.Error{Kind: ironic.ErrNoNode, Op: "find a port", Reason: "no_port"}
	ask := func(context.Context) error {
		if down.Load() {
			return errRefused
		}
		return none
	}
	from := 0
	flood := func(n int, want error) {
		t.Helper()
		var wrong atomic.Int64
		var group sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			group.Go(func() {
				for i := from + w; i < from+n; i += workers {
					if err := s.floodOne(t.Context(), i, terms, ask); !errors.Is(err, want) {
						wrong.Add(1)
					}
				}
			})
		}
		group.Wait()
		from += n
		if n := wrong.Load(); n > 0 {
			t.Errorf("%d wrong answers", n)
		}
	}
	heap := func() int64 {
		for range 3 { // pools empty in two
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	begin := heap()
	const full = 50_000 // whatever is bounded has come to its bounds
	flood(full, ironic.ErrNoNode)
	before, goroutines := heap(), runtime.NumGoroutine()
	half := (*floodMACs - full) / 2
	flood(half, ironic.ErrNoNode)
	down.Store(true)
	flood(half, ironic.ErrUnavailable)
	after := heap()
	t.Logf("%d MACs: the heap has %d KiB at first, %d after %d of them, %d at the end", from, begin>>10, before>>10, full, after>>10)
	if grown := after - before; grown > 8<<20 { // less than a byte for each of ten million
		t.Errorf("the heap has grown by %d bytes from the %dth MAC to the %dth", grown, full, from)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 50 { // the watch over the outage
		t.Errorf("%d goroutines more", more)
	}
	runtime.KeepAlive(s)
}
