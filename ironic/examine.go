// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// About is what can be found out about an Ironic and our account there.
type About struct {
	Version    string        // of the API, as negotiated
	Took       time.Duration // of one question
	Dated      bool          // its answers have a date, so that Skew is known
	Skew       time.Duration // Ironic's clock less ours
	Open       bool          // it asks for no credentials
	Policed    bool          // what an account may do depends on its roles, which is so with Keystone only
	Roles      []string      // of our token
	Unreadable []string      // resources that we may not read
	NoNodes    bool          // we are shown no node
	Silent     []error       // of endpoints that do not answer as they should, while others do
}

// Examine asks Ironic for one of each resource that a boot may need, and every endpoint how it is. The error is that of the
// first question; what may not be read is no error.
func (c *Client) Examine(ctx context.Context) (*About, error) {
	if err := c.Check(ctx); err != nil {
		return nil, err
	}
	seen, errs := make([]About, len(c.endpoints)), make([]error, len(c.endpoints))
	var group sync.WaitGroup
	for i, e := range c.endpoints {
		group.Go(func() {
			if errs[i] = c.try(ctx, "look at Ironic's versions", func(ctx context.Context) error { return e.examine(ctx, &seen[i]) }); errs[i] != nil && e.url != "" {
				errs[i] = fmt.Errorf("%s: %w", e.url, errs[i])
			}
		})
	}
	group.Wait()
	well := slices.IndexFunc(errs, func(err error) bool { return err == nil })
	if well < 0 {
		return nil, errs[0]
	}
	about := &seen[well]
	about.Open, about.Policed = c.open, c.where != nil
	about.Silent = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	for _, resource := range []string{"nodes", "ports", "portgroups", "volume/targets", "volume/connectors"} {
		_, err := c.get(ctx, "look at "+resource, resource+"?limit=1")
		var e *Error
		switch {
		case errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized || e.Status == http.StatusNotFound):
			about.Unreadable = append(about.Unreadable, resource)
		case err != nil:
			return nil, err
		}
	}
	return about, nil
}

// examine reads what only the answer's header and the login tell.
func (e *endpoint) examine(ctx context.Context, about *About) error {
	const op = "look at Ironic's clock"
	if _, err := e.ask(ctx, op, "nodes?limit=1&fields=uuid"); err != nil { // which renews what has run out
		return err
	}
	s, err := e.session.get(ctx, time.Now())
	if err != nil {
		return err
	}
	about.Version = s.service.Microversion
	if result, ok := s.login.GetAuthResult().(tokens.CreateResult); ok {
		if roles, err := result.ExtractRoles(); err == nil {
			about.Roles = about.Roles[:0]
			for _, r := range roles {
				about.Roles = append(about.Roles, r.Name)
			}
		}
	}
	var body struct{ Nodes []struct{} }
	start := time.Now()
	resp, err := s.service.Get(ctx, s.service.Endpoint+"nodes?limit=1&fields=uuid", &body, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return fault(op, err)
	}
	about.Took, about.NoNodes = time.Since(start), len(body.Nodes) == 0
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if about.Dated = err == nil; about.Dated {
		about.Skew = date.Sub(start.Add(about.Took / 2).Truncate(time.Second)) // a date has whole seconds
	}
	return nil
}
