// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Config says which origins may be asked, and how. The zero value of everything but Allow is usable.
type Config struct {
	// UserAgent names us to the origins. Default: ironic-edge.
	UserAgent string
	// Loop is the word by which we know in CDN-Loop (RFC 8586) a question that comes back to us. Default: the field is not
	// sent.
	Loop string
	// CAFile is a PEM file with the certificates that the origins' certificates must lead to. Default: the system's.
	CAFile string
	// Allow lists the origins that may be asked, redirects included, as scheme://host:port. Without a port it is the
	// scheme's own, without a scheme it is http and https. A host *.example.org is any below example.org. An empty list
	// allows nothing.
	Allow []string
	// Named are URLs of which the origins count as allowed, too. One that cannot be asked is disregarded.
	Named []string
	// AnyFirst lets any origin be asked first, and bounds by Allow and Named only where it redirects to: for URLs that come
	// from others, as those of nodes' images do. A redirect within one origin is allowed. An origin that neither Allow nor
	// Named names must not be at a loopback, link-local, multicast or unspecified address, nor at one of this machine: see
	// AddressError.
	AnyFirst bool
	// Apart are URLs of servers that Allow or Named names and whose files the caller tells apart by path (see Source.Bound).
	// With AnyFirst, another name that leads to the address and port of one is refused as an *AddressError.
	Apart []string
	// ProxyFromEnvironment goes through the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name. Default: no proxy.
	ProxyFromEnvironment bool
	// DialTimeout, TLSTimeout and HeaderTimeout bound connecting, the handshake, and the wait for an answer's header.
	// Default: 10 s each.
	DialTimeout, TLSTimeout, HeaderTimeout time.Duration
	// IdleBody is how long a body may make no progress before it ends with an *IdleError. Default: 30 s.
	IdleBody time.Duration
	// Line bounds how many bytes of bodies per second all transfers together may take, those of other clients with the same
	// line among them. Default: no limit.
	Line *Line
	// MaxRedirects is how many redirects are followed for one answer. Default: 5.
	MaxRedirects int
	// MaxConnsPerHost is how many connections one host may get; who wants one more waits. Default: no limit.
	MaxConnsPerHost int
	// RefuseHTML takes a whole answer that is a web page for an error: a captive portal's, or an error page that came
	// with status 200. URLs that end in .html or .htm are exempt.
	RefuseHTML bool
	// Registries are the OCI registries that need more than https and no credentials, by host or host:port. Allow bounds them
	// and their token servers as it does all others.
	Registries map[string]Registry
	// Encoded takes content with a Content-Encoding as it comes: for who hands that field on, since there are servers that
	// set it whatever is accepted, for a .gz file for example. What is asked for is identity all the same.
	Encoded bool
}

// ConfigError is what New says of a value that it cannot use.
type ConfigError struct {
	Field, Value string
	Err          error
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%s %q: %v", e.Field, e.Value, e.Err) }

func (e *ConfigError) Unwrap() error { return e.Err }

const (
	defaultTimeout   = 10 * time.Second
	defaultIdleBody  = 30 * time.Second
	defaultRedirects = 5
	defaultUserAgent = "ironic-edge"
)

// withDefaults fills in what is not set, and refuses what makes no sense.
func (c Config) withDefaults() (Config, error) {
	for field, d := range map[string]struct {
		value    *time.Duration
		fallback time.Duration
	}{
		"DialTimeout":   {&c.DialTimeout, defaultTimeout},
		"TLSTimeout":    {&c.TLSTimeout, defaultTimeout},
		"HeaderTimeout": {&c.HeaderTimeout, defaultTimeout},
		"IdleBody":      {&c.IdleBody, defaultIdleBody},
	} {
		if *d.value < 0 {
			return c, &ConfigError{field, d.value.String(), errNegative}
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	switch {
	case c.MaxRedirects < 0:
		return c, &ConfigError{"MaxRedirects", strconv.Itoa(c.MaxRedirects), errNegative}
	case c.MaxConnsPerHost < 0:
		return c, &ConfigError{"MaxConnsPerHost", strconv.Itoa(c.MaxConnsPerHost), errNegative}
	}
	if c.MaxRedirects == 0 {
		c.MaxRedirects = defaultRedirects
	}
	if c.UserAgent == "" {
		c.UserAgent = defaultUserAgent
	}
	return c, nil
}

var errNegative = errors.New("is negative")

// tls returns the settings with the configured certificates.
func (c Config) tls() (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return settings, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, &ConfigError{"CAFile", c.CAFile, fmt.Errorf("cannot be read: %w", err)}
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(pem) {
		return nil, &ConfigError{"CAFile", c.CAFile, errors.New("holds no PEM certificate")}
	}
	return settings, nil
}

// proxy returns how to find the proxy, nil for none.
func (c Config) proxy() (func(*http.Request) (*url.URL, error), error) {
	if !c.ProxyFromEnvironment {
		return nil, nil
	}
	for _, scheme := range []string{"http", "https"} {
		// The error would hold the variable's value, which may have a password in it.
		if _, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: scheme, Host: "origin.invalid"}}); err != nil {
			return nil, &ConfigError{"ProxyFromEnvironment", "true", fmt.Errorf("the environment's %s proxy is not a URL", scheme)}
		}
	}
	return http.ProxyFromEnvironment, nil
}
