// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"testing"
	"time"
)

func TestStatusHeader(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		status Status
		ttl    time.Duration
	}{
		"ironic-edge; fwd=miss":            {Miss, 5 * time.Second},
		"ironic-edge; fwd=miss; collapsed": {Collapsed, 5 * time.Second},
		"ironic-edge; hit; ttl=4":          {Hit, 4900 * time.Millisecond},
		"ironic-edge; fwd=stale; ttl=-30":  {Stale, -30 * time.Second},
	} {
		if got := string(c.status.AppendHeader(nil, "ironic-edge", c.ttl)); got != want {
			t.Errorf("AppendHeader = %q, want %q", got, want)
		}
	}
}
