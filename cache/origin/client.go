// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client asks origins. It is safe for concurrent use.
type Client struct {
	cfg       Config
	allow     []pattern
	named     map[address]bool
	apart     []address
	transport http.RoundTripper
	guarded   http.RoundTripper // for origins that are not allowed by name; it looks at addresses
	proxy     func(*http.Request) (*url.URL, error)
	closeIdle func()

	registries *registries
}

const (
	// idleConns is how many connections to one host are kept for the next question: as many ranges as are ever asked for
	// at once, so that none of them pays for a new handshake over the line.
	idleConns = 32
	// idleConnTime is less than what nginx waits for the next request (75 s), so that it is us who hang up. Apache waits
	// only 5 s; net/http repeats a GET on a connection that turns out to be closed.
	idleConnTime = 30 * time.Second
	// maxHeader is more than any origin has to say.
	maxHeader = 256 << 10
)

// New checks cfg and returns a client. It asks nobody: an origin that is down now may be up when it is needed.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, named: make(map[address]bool, len(cfg.Named))}
	for _, entry := range cfg.Named {
		if u, err := url.Parse(entry); err == nil {
			if at, err := addressOf(u); err == nil { // else it cannot be asked, either
				c.named[at] = true
			}
		}
	}
	for _, entry := range cfg.Apart {
		if u, err := url.Parse(entry); err == nil {
			if at, err := addressOf(u); err == nil {
				c.apart = append(c.apart, at)
			}
		}
	}
	for _, entry := range cfg.Allow {
		p, err := parsePattern(entry)
		if err != nil {
			return nil, &ConfigError{"Allow", entry, err}
		}
		c.allow = append(c.allow, p)
	}
	if c.registries, err = newRegistries(cfg.Registries); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	proxy, err := cfg.proxy()
	if err != nil {
		return nil, err
	}
	kept := idleConns
	if cfg.MaxConnsPerHost > 0 {
		kept = cfg.MaxConnsPerHost
	}
	transport := &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    cfg.TLSTimeout,
		ResponseHeaderTimeout:  cfg.HeaderTimeout,
		IdleConnTimeout:        idleConnTime,
		MaxConnsPerHost:        cfg.MaxConnsPerHost,
		MaxIdleConnsPerHost:    kept,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
	}
	// HTTP/1.1 only. HTTP/2 would put all ranges into one TCP connection, where one lost packet stops every one of them
	// and one congestion window is all that they get of a lossy line.
	transport.Protocols.SetHTTP1(true)
	guarded := transport.Clone()
	guarded.Proxy = nil // see via
	guarded.DialContext = (&net.Dialer{Timeout: cfg.DialTimeout, ControlContext: c.checkDial}).DialContext
	c.transport, c.guarded, c.proxy = transport, guarded, proxy
	c.closeIdle = func() {
		transport.CloseIdleConnections()
		guarded.CloseIdleConnections()
	}
	return c, nil
}

// Close closes the connections that nobody uses. What is being transferred goes on.
func (c *Client) Close() error {
	c.closeIdle()
	return nil
}

// allowed reports whether an origin may be asked because the configuration names it.
func (c *Client) allowed(a address) bool {
	if c.named[a] {
		return true
	}
	for _, p := range c.allow {
		if p.matches(a) {
			return true
		}
	}
	return false
}
