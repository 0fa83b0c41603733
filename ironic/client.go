// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// Config says where Ironic is and how to talk to it. The zero value of everything but Endpoint is usable.
type Config struct {
	// Endpoint is the API's URL, such as http://192.0.2.10:6385, with or without /v1. With Auth.Kind "cloud" it may be
	// empty: Keystone's catalog then says where Ironic is.
	Endpoint string
	// Others are further URLs of the same Ironic's API. One that cannot be reached, does not answer within its share of the
	// timeout or answers with 5xx is left for the next one in the same call, and asked after the others for a while.
	Others []string
	// Glance is the Image API's URL, such as http://192.0.2.10:9292, with or without /v2. With Auth.Kind "cloud" it may be
	// empty: Keystone's catalog then says where Glance is. With another kind, Glance is asked without credentials.
	Glance string
	Auth   Auth
	// CAFile is a PEM file with the certificates that the servers' certificates must lead to, besides those that
	// clouds.yaml names. Without either, the system's are trusted.
	CAFile string
	// ClientCert and ClientKey are PEM files with which we prove who we are; both or none.
	ClientCert, ClientKey string
	// Timeout bounds one call to Ironic with all its attempts at all endpoints, the login included. Default: 5 s.
	Timeout time.Duration
	// Release is our version in the User-Agent.
	Release string
	// Wrap, if not nil, is put around the transport and sees every request, Keystone's included: for spans and metrics.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Auth is how to prove to Ironic who we are.
type Auth struct {
	// Kind is "none" (also when empty), "http_basic" or "cloud".
	Kind string
	// Username and Password are for http_basic.
	Username, Password string
	// Cloud is the entry of clouds.yaml for Keystone: password or application credential.
	Cloud string
	// CloudsFile is the path of clouds.yaml. Default: where OpenStack's clients look for it, the file named by
	// OS_CLIENT_CONFIG_FILE, else clouds.yaml in the working directory, ~/.config/openstack and /etc/openstack.
	CloudsFile string
}

const defaultTimeout = 5 * time.Second

// Client asks one Ironic. It is safe for concurrent use.
type Client struct {
	endpoints []*endpoint // in the order in which they are asked; one at least
	glance    string      // ends in /v2/, or is empty
	userAgent string
	timeout   time.Duration
	login     *shared[gophercloud.ServiceClient]
	where     *gophercloud.EndpointOpts // of services in Keystone's catalog; nil without Keystone
	renewable bool                      // another login may cure a 401
	open      bool                      // we show no credentials
	http      *http.Client
	closeIdle func()

	authenticate func(context.Context) (*gophercloud.ServiceClient, error)

	closing context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup // attempts to log in and to negotiate

	mu     sync.Mutex
	closed bool

	health sync.Mutex // of the endpoints
}

// New checks cfg and returns a client. It does not contact Ironic: one that is down when the edge starts is an outage like
// any other. The context lends its values to the login, and its end does not end the client; Close does.
func New(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{timeout: cfg.Timeout, userAgent: "ironic-edge"}
	c.login = &shared[gophercloud.ServiceClient]{client: c, ask: c.logIn}
	if cfg.Timeout < 0 {
		return nil, badConfig("Timeout", cfg.Timeout.String(), "is negative")
	}
	if cfg.Timeout == 0 {
		c.timeout = defaultTimeout
	}
	if cfg.Release != "" {
		c.userAgent += "/" + cfg.Release
	}
	var err error
	for i, url := range append([]string{cfg.Endpoint}, cfg.Others...) {
		if i > 0 || url != "" || cfg.Auth.Kind != authCloud {
			if url, err = apiURL("Endpoint", url, "/v1"); err != nil {
				return nil, err
			}
		}
		c.endpoints = append(c.endpoints, c.newEndpoint(url))
	}
	if cfg.Glance != "" {
		if c.glance, err = apiURL("Glance", cfg.Glance, "/v2"); err != nil {
			return nil, err
		}
	}
	tlsConfig, err := c.authenticateBy(cfg.Auth)
	if err != nil {
		return nil, err
	}
	if err := addCertificates(tlsConfig, cfg); err != nil {
		return nil, err
	}
	transport := newTransport(tlsConfig)
	c.closeIdle = transport.CloseIdleConnections
	c.http = newHTTPClient(transport, cfg.Wrap)
	c.closing, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return c, nil
}

// Close ends a login under way and closes idle connections. Calls that run go on until their answer.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.work.Wait()
	c.closeIdle()
	return nil
}

// apiURL completes the endpoint in a field of Config to the URL that resources of that version are relative to.
func apiURL(field, endpoint, version string) (string, error) {
	if endpoint == "" {
		return "", badConfig(field, "", "is no URL")
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return "", badConfig(field, "", "cannot be read as a URL") // it could hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", badConfig(field, u.Redacted(), "is not http://host or https://host")
	case u.User != nil:
		return "", badConfig(field, u.Redacted(), "holds a user, which belongs to http_basic")
	case u.RawQuery != "" || u.Fragment != "":
		return "", badConfig(field, u.Redacted(), "has a query or a fragment")
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), version) + version + "/"
	return u.String(), nil
}
