// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/url"
	"strconv"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache/origin"
)

// TestKnownTargets has spellings of nearly one URL, each twice: a target that is known is of its own spelling, and what is
// refused is refused beside it. Clients cannot make it remember without bound.
func TestKnownTargets(t *testing.T) {
	t.Parallel()
	m, err := (&Mirror{Prefix: "/m/", Origin: "http://o.example/pub"}).resolve()
	if err != nil {
		t.Fatal(err)
	}
	if m.client, err = origin.New(origin.Config{Allow: []string{m.origin}}); err != nil {
		t.Fatal(err)
	}
	known := func(asked string) (string, error) {
		u, err := url.ParseRequestURI(asked)
		if err != nil {
			t.Fatal(err)
		}
		target, err := m.known(u)
		if err != nil {
			return "", err
		}
		return target.URL.String(), nil
	}
	for range 2 {
		for asked, want := range map[string]string{
			"/m/a/b":      "http://o.example/pub/a/b",
			"/m/a/b?":     "http://o.example/pub/a/b",
			"/m/a/b?c":    "http://o.example/pub/a/b?c",
			"/m/a%3Fc":    "http://o.example/pub/a%3Fc",
			"/m/a%2Fb":    "",
			"/m/x/..%2Fa": "",
			"/m/./a/b":    "",
		} {
			got, err := known(asked)
			if got != want || (want == "") != errors.Is(err, errPlain) {
				t.Errorf("%s: %q, %v; want %q", asked, got, err, want)
			}
		}
	}
	for i := range 2 * maxTargets {
		if _, err := known("/m/" + strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.targets.known); n > maxTargets {
		t.Errorf("%d targets are remembered, %d at most", n, maxTargets)
	}
}
