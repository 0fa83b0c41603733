// SPDX-License-Identifier: Apache-2.0

package ironiccontract

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// Target is an Ironic. It must be without nodes, and is not of use for another run afterwards.
type Target struct {
	// URL is that of the API, without /v1.
	URL string
	// Auth is what the API wants from those who ask.
	Auth ironic.Auth
	// Token is one of Keystone's for the same account, which the tests' own requests carry, where Auth.Kind is cloud.
	Token string
	// Images is the URL below which the conductor, if there is one, finds every image.
	Images string
	// Create makes a node with all that belongs to it, and brings it into its provision state. What only a conductor
	// writes, DeployStep and DriverInternalInfo, need not be taken from the description. It is called concurrently.
	// A conductor has to be in ConductorGroup.
	Create func(context.Context, ironictest.Node) error
}

// The kinds of ironic.Auth besides none.
const (
	basic = "http_basic"
	cloud = "cloud"
)

// contract is one run.
type contract struct {
	Target
	newest int // minor version
}

// Run makes nodes and tests what the target says about them.
func Run(t *testing.T, target Target) {
	target.URL = strings.TrimSuffix(target.URL, "/")
	c := &contract{Target: target}
	c.newest = c.newestMinor(t)
	nodes := c.nodes()
	errs := make([]error, len(nodes))
	var making sync.WaitGroup
	for i, n := range nodes {
		making.Go(func() { errs[i] = target.Create(t.Context(), n) })
	}
	making.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Run("versions", c.testVersions)
	t.Run("ports", c.testPorts)
	t.Run("portgroups", c.testPortgroups)
	t.Run("node", c.testNode)
	t.Run("secrets", c.testSecrets)
	t.Run("lists", c.testLists)
	t.Run("filters", c.testFilters)
	t.Run("volumes", c.testVolumes)
	t.Run("refusals", c.testRefusals)
	t.Run("client", c.testClient)
	t.Run("site", c.testSite)
	t.Run("credentials", c.testCredentials)
	// The agent's calls change nodes, and come last.
	t.Run("lookup", c.testLookup)
	t.Run("heartbeat", c.testHeartbeat)
	t.Run("inspection", c.testInspection)
}

// newestMinor asks for the range of versions. The oldest is 1.1 in every release so far.
func (c *contract) newestMinor(t *testing.T) int {
	t.Helper()
	h := c.get(t, "/v1", noVersion).header
	minor, ok := strings.CutPrefix(h.Get(headerMaxVersion), "1.")
	n, err := strconv.Atoi(minor)
	if !ok || err != nil {
		t.Fatalf("newest version %q", h.Get(headerMaxVersion))
	}
	return n
}
