// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Source is one URL to get bytes from. It is safe for concurrent use.
type Source struct {
	client  *Client
	url     *url.URL // without user and fragment
	address address
	header  http.Header          // for that address only
	page    bool                 // the URL is that of a web page
	named   bool                 // the configuration's, wherever it leads
	bound   func(*url.URL) error // nil: none
}

var _ cache.Origin = (*Source)(nil)

// NotAllowedError says that a URL's origin may not be asked.
type NotAllowedError struct {
	Origin string // scheme://host:port, which Allow would have to hold
}

func (e *NotAllowedError) Error() string {
	return fmt.Sprintf("the origin %s is not allowed: add it to Allow", e.Origin)
}

// Source returns the source behind a URL. The header, an X-Auth-Token for example, is sent to the URL's own scheme, host
// and port and to no other that it redirects to; a user and password in the URL become its Authorization, unless it has
// one. Fields that Open and Revalidate decide about are left out. A URL that may not be asked is a *NotAllowedError,
// one that leads where only the configuration's may an *AddressError.
func (c *Client) Source(rawURL string, header http.Header) (*Source, error) {
	u, at, err := locate(rawURL)
	if err != nil {
		return nil, err
	}
	if err := c.checkFirst(at); err != nil {
		return nil, err
	}
	return c.source(u, at, header), nil
}

// Named is as Source is, for a URL that is of the configuration, or of a service that it names: it may lead anywhere, to
// this machine, too.
func (c *Client) Named(rawURL string, header http.Header) (*Source, error) {
	u, at, err := locate(rawURL)
	if err != nil {
		return nil, err
	}
	s := c.source(u, at, header)
	s.named = true
	return s, nil
}

// Bound has check look at the source's URL now, and at each that it redirects to before that is asked. Its error ends a
// question. It is for before the source is used.
func (s *Source) Bound(check func(*url.URL) error) error {
	s.bound = check
	return check(s.url)
}

func locate(rawURL string) (*url.URL, address, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, address{}, errors.New("the URL cannot be read as one") // url.Parse would quote it, and it may hold a password
	}
	at, err := addressOf(u)
	if err != nil {
		return nil, address{}, fmt.Errorf("the URL %w", err)
	}
	return u, at, nil
}

func (c *Client) source(u *url.URL, at address, header http.Header) *Source {
	s := &Source{client: c, url: at.inURL(u), address: at, header: plain(header)}
	if u.User != nil && s.header.Get("Authorization") == "" {
		password, _ := u.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		s.header.Set("Authorization", "Basic "+credentials)
	}
	switch strings.ToLower(path.Ext(u.Path)) {
	case ".html", ".htm":
		s.page = true
	}
	return s
}

// String is the URL without what may be secret in it, for logs.
func (s *Source) String() string { return publicURL(s.url) }

// publicURL leaves out the query, which is where signed URLs have their signature. There is no user in it any more.
func publicURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// inURL returns the URL to ask at an address: the address in its one spelling, and nothing that does not go over the
// wire.
func (a address) inURL(u *url.URL) *url.URL {
	clean := *u
	clean.Host, clean.User = a.hostPort(), nil
	clean.Fragment, clean.RawFragment = "", ""
	return &clean
}

// decided are the request's fields that a question sets itself, or that would make the answer one to another question.
var decided = []string{
	"Accept-Encoding", "User-Agent", "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
}

// plain copies a header without those fields. It is never nil.
func plain(header http.Header) http.Header {
	h := make(http.Header, len(header)+1)
	for name, values := range header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	h = h.Clone()
	maps.DeleteFunc(h, func(name string, _ []string) bool {
		for _, d := range decided {
			if name == d {
				return true
			}
		}
		return false
	})
	return h
}
