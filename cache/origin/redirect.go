// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net/http"
	"net/url"
)

// redirects reports whether a status sends a GET elsewhere (RFC 9110 section 15.4). The others of its class offer a
// choice, or answer questions that are not asked here.
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// location says where a redirect leads. A user and password in it are left out: they would be the other server's idea of
// who we are.
func (c *Client) location(from *url.URL, at address, location string) (*url.URL, address, error) {
	u, err := from.Parse(location)
	if err != nil {
		return nil, at, unusable("a redirect to what is not a URL")
	}
	to, err := c.hop(at, u)
	if err != nil {
		return nil, at, err
	}
	return to.inURL(u), to, nil
}

// hop checks a redirect from an address, and returns that of the other end.
func (c *Client) hop(at address, u *url.URL) (address, error) {
	to, err := addressOf(u)
	switch {
	case err != nil:
		return to, unusable("a redirect to what %v", err)
	case at.scheme == "https" && to.scheme != "https":
		return to, unusable("a redirect from https to http")
	case !c.allowed(to) && !(c.cfg.AnyFirst && to == at):
		return to, unusable("a redirect to %s (%s), which Allow does not name", to.hostPort(), to.scheme)
	}
	return to, nil
}
