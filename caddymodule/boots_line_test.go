// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ironic-edge/ironic-edge/caddymodule/boots"
)

// TestOneLineForEachOutcome has boots come to each end that there is: each is one line in the log, one event and one more in
// the count, with its outcome.
func TestOneLineForEachOutcome(t *testing.T) {
	client := netip.MustParseAddr("10.0.0.1")
	script := func(kind, state string) *boots.Script {
		return &boots.Script{MAC: nodeMAC(1), Node: nodeUUID(1), Name: "rack17-n01", State: state, Client: client, Kind: kind, Reason: "state", RequestID: newRequestID()}
	}
	tested := make(map[boots.Outcome]bool)
	for outcome, does := range map[boots.Outcome]func(line *boots.Timeline){
		boots.Finished: func(line *boots.Timeline) {
			line.Script(script("deploy", "wait call-back"))
			line.Agent(&boots.Call{Kind: boots.EventHeartbeat, Node: nodeUUID(1), Client: client, Status: 202})
			line.State(nodeUUID(1), "active")
		},
		boots.Failed: func(line *boots.Timeline) {
			line.Script(script("deploy", "wait call-back"))
			line.State(nodeUUID(1), "deploy failed")
		},
		boots.Refused: func(line *boots.Timeline) {
			line.Script(script("", "available"))
			time.Sleep(time.Minute)
		},
		boots.Superseded: func(line *boots.Timeline) {
			line.Script(script("deploy", "wait call-back"))
			line.Image(nodeUUID(1), client, "deploy_kernel", new(atomic.Int64)).End(true)
			line.Script(script("deploy", "wait call-back"))
		},
		boots.Stuck: func(line *boots.Timeline) {
			line.Script(script("deploy", "wait call-back"))
			time.Sleep(3 * time.Hour)
		},
	} {
		tested[outcome] = true
		t.Run(string(outcome), func(t *testing.T) {
			kind := "deploy"
			if outcome == boots.Refused {
				kind = "none"
			}
			before := bootsCounted(t, kind, string(outcome))
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.InfoLevel)
				line := newTimeline()
				h := &Handler{site: &site{boots: line}, logger: zap.New(core), metrics: collectors}
				line.speaker.Store(h)
				go line.Run(t.Context(), nil, line.tell)
				does(line.Timeline)
				synctest.Wait()
				found := logs.FilterMessage("boot").All()
				if len(found) != 1 || found[0].ContextMap()["outcome"] != string(outcome) || found[0].ContextMap()["node"] != nodeUUID(1) || found[0].ContextMap()["duration"] == nil {
					t.Errorf("the lines are %v", found)
				}
				told := 0
				for len(line.emissions) > 0 {
					if e := <-line.emissions; e.name == eventBootFinished && e.data["outcome"] == string(outcome) {
						told++
					}
				}
				if told != 1 {
					t.Errorf("it is told %d times, want once", told)
				}
			})
			if n := bootsCounted(t, kind, string(outcome)) - before; n != 1 {
				t.Errorf("it is counted %v times, want once", n)
			}
		})
	}
	for _, outcome := range boots.Outcomes {
		if !tested[outcome] && outcome != boots.Running {
			t.Errorf("no boot is %s in the end", outcome)
		}
	}
}
