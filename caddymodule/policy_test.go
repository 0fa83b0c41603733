// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// TestPolicies wants of images and mirrors what docs/caddyfile.md says of how fresh they are.
func TestPolicies(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	none := caddy.Duration(0)
	for _, tt := range []struct {
		mirror Mirror
		want   rules.Policy
	}{
		{Mirror{}, rules.Policy{Stale: week}},
		{Mirror{MaxAge: caddy.Duration(time.Hour)}, rules.Policy{MaxAge: time.Hour, Stale: week}},
		{Mirror{Revalidate: true}, rules.Policy{Revalidate: true, Stale: week}},
		{Mirror{Stale: &none}, rules.Policy{}},
	} {
		tt.mirror.Prefix, tt.mirror.Origin = "/x/", "http://images.example"
		m, err := tt.mirror.resolve()
		if err != nil || m.policy != tt.want {
			t.Errorf("%+v: %+v, %v; want %+v", tt.mirror, m.policy, err, tt.want)
		}
	}
	if want := (rules.Policy{MaxAge: time.Minute, Stale: week}); imagePolicy != want {
		t.Errorf("of images it is %+v, want %+v", imagePolicy, want)
	}
}
