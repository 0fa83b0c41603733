// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// demoImageSize is that of the demo's ramdisks, and demoRate how fast machines take them, in bytes per second: a boot
	// takes as long as one likes to watch.
	demoImageSize = 24 << 20
	demoRate      = 1 << 20
	// demoStall is for how long a machine stands still; the edge ends a transfer after two minutes without progress.
	demoStall = 100 * time.Second
)

// demoMachine is one of the demo that is switched on again and again.
type demoMachine struct {
	edge, mac, node string
	kernel, ramdisk string // labels
	takes           int64  // of its ramdisk, then it stands still; 0: all
	rate            int64
	dies            bool // before its agent looks itself up
	pause           time.Duration
}

// demoRack are the machines that keep the demo's rack alive: two that boot well, one whose ramdisk stalls, one that boots
// over and over, and one that Ironic does not know.
func demoRack(edge string, node func(n int) (mac, uuid string)) []demoMachine {
	one := func(n int, m demoMachine) demoMachine {
		m.edge = edge
		m.mac, m.node = node(n)
		return m
	}
	return []demoMachine{
		one(1, demoMachine{kernel: "deploy_kernel", ramdisk: "deploy_ramdisk", rate: demoRate, pause: 20 * time.Second}),
		one(2, demoMachine{kernel: "deploy_kernel", ramdisk: "deploy_ramdisk", rate: demoRate / 2, pause: 30 * time.Second}),
		one(3, demoMachine{kernel: "deploy_kernel", ramdisk: "deploy_ramdisk", rate: demoRate, takes: demoImageSize * 31 / 100}),
		one(5, demoMachine{kernel: "rescue_kernel", ramdisk: "rescue_ramdisk", rate: 1 << 30, dies: true, pause: 10 * time.Second}),
		{edge: edge, mac: "52:54:00:17:00:ff", pause: 20 * time.Second},
	}
}

// live lets machines boot until the context ends.
func live(ctx context.Context, machines []demoMachine) {
	var group sync.WaitGroup
	for _, m := range machines {
		group.Go(func() {
			for ctx.Err() == nil {
				m.boot(ctx)
				select {
				case <-time.After(m.pause):
				case <-ctx.Done():
				}
			}
		})
	}
	group.Wait()
}

// boot does what the machine does from its switching on until it is up, or stays where it is.
func (m *demoMachine) boot(ctx context.Context) {
	if !m.fetch(ctx, "/v1/boot/"+m.mac+"/boot.ipxe", 0) || m.node == "" {
		return
	}
	if !m.fetch(ctx, "/"+m.node+"/"+m.kernel, 0) || !m.fetch(ctx, "/"+m.node+"/"+m.ramdisk, m.takes) || m.dies {
		return
	}
	m.fetch(ctx, "/v1/lookup?addresses="+m.mac, 0)
}

// fetch reads an answer as fast as the machine does. It stays in the middle of it for a while if the machine stands still.
func (m *demoMachine) fetch(ctx context.Context, path string, takes int64) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.edge+path, nil)
	if err != nil {
		return false
	}
	r.Header.Set("User-Agent", "iPXE/1.21.1 (simulated)")
	r.Header.Set("X-OpenStack-Ironic-API-Version", "1.68")
	response, err := demoClient.Do(r)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	for taken := int64(0); ; {
		n, err := io.CopyN(io.Discard, response.Body, 64<<10)
		if taken += n; err != nil {
			return err == io.EOF && response.StatusCode == http.StatusOK
		}
		if takes > 0 && taken >= takes {
			select {
			case <-time.After(demoStall):
			case <-ctx.Done():
			}
			return false // somebody has switched it off and on
		}
		if m.rate > 0 {
			select {
			case <-time.After(time.Duration(n) * time.Second / time.Duration(m.rate)):
			case <-ctx.Done():
				return false
			}
		}
	}
}

// demoClient reads no more ahead than firmware does.
var demoClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ReadBufferSize: 16 << 10}}
