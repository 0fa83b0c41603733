// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// About is what can be found out about an Ironic and our account there.
type About struct {
	Version    string        // of the API, as negotiated
	Took       time.Duration // of one question
	Skew       time.Duration // Ironic's clock less ours
	Open       bool          // it asks for no credentials
	Roles      []string      // of our token; nil without Keystone
	Unreadable []string      // resources that we may not read
}

// Examine asks Ironic for one of each resource that a boot may need. The error is that of the first question; what may not
// be read is no error.
func (c *Client) Examine(ctx context.Context) (*About, error) {
	about := &About{Open: c.open}
	if err := c.Check(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	err := c.try(ctx, "look at Ironic's clock", func(ctx context.Context) error { return c.endpoints[0].examine(ctx, about) })
	about.Took = time.Since(start)
	if err != nil {
		return nil, err
	}
	about.Skew += about.Took / 2
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
	s, err := e.session.get(ctx, time.Now())
	if err != nil {
		return err
	}
	about.Version = s.service.Microversion
	if result, ok := s.login.GetAuthResult().(tokens.CreateResult); ok {
		if roles, err := result.ExtractRoles(); err == nil {
			for _, r := range roles {
				about.Roles = append(about.Roles, r.Name)
			}
		}
	}
	var body any
	resp, err := s.service.Get(ctx, s.service.ServiceURL("nodes")+"?limit=1&fields=uuid", &body, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return fault("look at Ironic's clock", err)
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		about.Skew = date.Sub(time.Now().Truncate(time.Second))
	}
	return nil
}
