// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/url"
	"sync"

	"github.com/ironic-edge/ironic-edge/cache/shared"
)

// targets remembers what the URLs of a mirror name: a machine that boots from an ISO over HTTP asks for one of them
// thousands of times.
type targets struct {
	mu    sync.Mutex
	known map[targetKey]*shared.Target
}

// targetKey is what of a URL without a query tells its target, in the spelling of which plainPath is the judge.
type targetKey struct{ path, rawPath string }

// maxTargets bounds what is remembered: clients choose the URLs.
const maxTargets = 1024

var errPlain = errors.New("has more than one reading")

// known is target for paths with one reading; for others the error is errPlain.
func (m *mirror) known(u *url.URL) (*shared.Target, error) {
	key := targetKey{u.Path, u.RawPath}
	if u.RawQuery == "" {
		m.targets.mu.Lock()
		t := m.targets.known[key]
		m.targets.mu.Unlock()
		if t != nil {
			return t, nil
		}
	}
	if !plainPath(u) {
		return nil, errPlain
	}
	t, err := m.target(u)
	if err != nil || u.RawQuery != "" { // each may be a signature, and is then asked for a few times only
		return t, err
	}
	m.targets.mu.Lock()
	defer m.targets.mu.Unlock()
	if len(m.targets.known) >= maxTargets || m.targets.known == nil {
		m.targets.known = make(map[targetKey]*shared.Target)
	}
	m.targets.known[key] = t
	return t, nil
}
