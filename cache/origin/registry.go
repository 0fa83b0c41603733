// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Registry says how to talk to one OCI registry.
type Registry struct {
	// Plain is for a registry that has no TLS.
	Plain bool
	// Username and Password are what the registry, or the server that gives out its tokens, knows us by. The user may be
	// empty where the password is a token. Without either, images that are for everybody can be read.
	Username, Password string
}

// registries are the ways to the OCI registries, and what is remembered of them.
type registries struct {
	by       map[address]Registry
	granted  cache.Flight[grantKey, *grant]
	resolved cache.Flight[blobKey, Content]

	mu       sync.Mutex
	grants   map[repository]*grant
	contents map[blobKey]Content // what manifests say; they never change
}

// repository is what a token is for.
type repository struct {
	at   address
	name string
}

type blobKey struct {
	repository
	digest string
}

// grantKey makes those share one new grant to whom the same old one was refused.
type grantKey struct {
	repository
	refused *grant
}

// grant is a header by which a repository can be read. It does not change.
type grant struct {
	authorization string
	expires       time.Time // zero: never
	by            challenge // how to get the next one
}

func (g *grant) good(now time.Time) bool {
	return g != nil && (g.expires.IsZero() || now.Before(g.expires))
}

const (
	// maxKept bounds what is remembered; a site has a handful of each. When it is full, all is forgotten and asked again.
	maxKept = 4096
	// maxToken is far above any token server's answer.
	maxToken = 256 << 10
	// usualLife is that of a token whose server does not say (the Registry's token authentication specification), longestLife
	// the most that is believed.
	usualLife, longestLife = time.Minute, 24 * time.Hour
)

func newRegistries(by map[string]Registry) (*registries, error) {
	r := &registries{by: map[address]Registry{}, grants: map[repository]*grant{}, contents: map[blobKey]Content{}}
	for host, registry := range by {
		bad := func(err error) error { return &ConfigError{"Registries", host, err} }
		scheme := "https"
		if registry.Plain {
			scheme = "http"
		}
		p, err := parsePattern(scheme + "://" + host)
		if err != nil {
			return nil, bad(err)
		}
		if p.below || strings.ContainsAny(host, "/*") {
			return nil, bad(errors.New("is not one host, with or without a port"))
		}
		if registry.Username != "" && registry.Password == "" {
			return nil, bad(errors.New("has a user without a password"))
		}
		at := address{scheme, p.host, p.port}
		if at.port == "" {
			at.port = usualPort(scheme)
		}
		r.by[at] = registry
	}
	return r, nil
}

// at returns the address of a registry by its host.
func (r *registries) at(host string) (address, error) {
	for _, scheme := range []string{"http", "https"} {
		at, err := addressOf(&url.URL{Scheme: scheme, Host: host})
		if err != nil {
			return address{}, err
		}
		if _, plain := r.by[at]; plain || scheme == "https" {
			return at, nil
		}
	}
	panic("unreachable")
}

// grant returns what is known to open a repository, nil if nothing is. One that has expired is renewed.
func (c *Client) grant(ctx context.Context, repo repository) (*grant, error) {
	c.registries.mu.Lock()
	g := c.registries.grants[repo]
	c.registries.mu.Unlock()
	if g == nil || g.good(time.Now()) {
		return g, nil
	}
	return c.newGrant(ctx, repo, g.by, g)
}

// newGrant does what a challenge wants, once for all who ask for the same. refused is the grant that led to it, if any.
func (c *Client) newGrant(ctx context.Context, repo repository, by challenge, refused *grant) (*grant, error) {
	g, _, err := c.registries.granted.Do(ctx, grantKey{repo, refused}, func(ctx context.Context) (*grant, error) {
		c.registries.mu.Lock()
		current := c.registries.grants[repo]
		c.registries.mu.Unlock()
		if current != refused && current.good(time.Now()) {
			return current, nil // another call was first
		}
		g, err := c.askForGrant(ctx, repo, by)
		if err != nil {
			return nil, err
		}
		c.registries.mu.Lock()
		defer c.registries.mu.Unlock()
		if len(c.registries.grants) >= maxKept {
			clear(c.registries.grants)
		}
		c.registries.grants[repo] = g
		return g, nil
	})
	return g, err
}

func (c *Client) askForGrant(ctx context.Context, repo repository, by challenge) (*grant, error) {
	known := c.registries.by[repo.at]
	basic := ""
	if known.Password != "" {
		basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(known.Username+":"+known.Password))
	}
	if by.scheme == "basic" {
		return &grant{authorization: basic, by: by}, nil
	}
	s, err := c.tokenServer(repo, by, basic)
	if err != nil {
		return nil, err
	}
	a, err := s.ask(ctx, http.MethodGet, http.Header{}, nil)
	if err != nil {
		return nil, err
	}
	if a.StatusCode >= 400 {
		err := refusal(a)
		var refused *cache.OriginError
		if errors.As(err, &refused) {
			refused.Reason += " from the registry's token server"
			refused.Header, refused.Body = nil, nil // none of a client's business
		}
		return nil, err
	}
	defer a.body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, unusable("status %d from the registry's token server", a.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(a.body, maxToken+1))
	if err != nil {
		return nil, fmt.Errorf("read the token from %s: %w", s, err)
	}
	var given struct {
		Token       string
		AccessToken string `json:"access_token"` // as OAuth 2.0 calls it
		ExpiresIn   int64  `json:"expires_in"`
	}
	if len(body) > maxToken || json.Unmarshal(body, &given) != nil {
		return nil, unusable("something else than a token from the registry's token server")
	}
	if given.Token == "" {
		given.Token = given.AccessToken
	}
	if given.Token == "" || strings.ContainsFunc(given.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, unusable("something else than a token from the registry's token server")
	}
	life := usualLife
	if given.ExpiresIn > 0 {
		life = time.Duration(min(given.ExpiresIn, int64(longestLife/time.Second))) * time.Second
	}
	// By our clock, from before the token was made; issued_at is by another. What is asked last must arrive in time.
	return &grant{"Bearer " + given.Token, a.asked.Add(life * 9 / 10), by}, nil
}

// tokenServer returns the source of tokens that a challenge names. It may be asked by the rules of redirects: the registry
// chooses where we go, so that is to be allowed, and credentials do not go from https to http.
func (c *Client) tokenServer(repo repository, by challenge, basic string) (*Source, error) {
	u, err := url.Parse(by.params["realm"])
	if err != nil {
		return nil, unusable("a token server whose URL cannot be read")
	}
	at, err := addressOf(u)
	switch {
	case err != nil:
		return nil, unusable("a token server that %v", err)
	case repo.at.scheme == "https" && at.scheme != "https":
		return nil, unusable("a token server without TLS, which the registry has")
	case !c.allowed(at) && !(c.cfg.AnyFirst && at == repo.at):
		return nil, unusable("a token server at %s (%s), which Allow does not name", at.hostPort(), at.scheme)
	}
	query := u.Query()
	if service := by.params["service"]; service != "" {
		query.Set("service", service)
	}
	scope := by.params["scope"]
	if scope == "" {
		scope = "repository:" + repo.name + ":pull"
	}
	query.Set("scope", scope)
	u = at.inURL(u)
	u.RawQuery = query.Encode()
	s := &Source{client: c, url: u, address: at, header: http.Header{}}
	if basic != "" {
		s.header.Set("Authorization", basic)
	}
	return s, nil
}

// challengeFor picks the challenge that can be met: a token before a password, a password only if there is one.
func (c *Client) challengeFor(repo repository, h http.Header) (challenge, bool) {
	var basic challenge
	for _, by := range parseChallenges(h.Values("Www-Authenticate")) {
		switch {
		case by.scheme == "bearer" && by.params["realm"] != "":
			return by, true
		case by.scheme == "basic" && c.registries.by[repo.at].Password != "":
			basic = by
		}
	}
	return basic, basic.scheme != ""
}
