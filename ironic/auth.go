// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/httpbasic"
	"github.com/gophercloud/gophercloud/v2/openstack/baremetal/noauth"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
)

const (
	authNone  = "none"
	authBasic = "http_basic"
	authCloud = "cloud"
)

const loginOp = "log in at Keystone"

// authenticateBy chooses the login and returns the TLS settings that come with it.
func (c *Client) authenticateBy(auth Auth) (*tls.Config, error) {
	switch auth.Kind {
	case "", authNone:
		c.open = true
		c.authenticate = func(context.Context) (*gophercloud.ServiceClient, error) {
			s, err := noauth.NewBareMetalNoAuth(noauth.EndpointOpts{IronicEndpoint: c.endpoints[0].url})
			return c.provided(s, err)
		}
		return new(tls.Config), nil
	case authBasic:
		if auth.Username == "" || auth.Password == "" {
			return nil, badConfig("Auth", authBasic, "needs a user and a password")
		}
		c.authenticate = func(context.Context) (*gophercloud.ServiceClient, error) {
			s, err := httpbasic.NewBareMetalHTTPBasic(httpbasic.EndpointOpts{
				IronicEndpoint: c.endpoints[0].url, IronicUser: auth.Username, IronicUserPassword: auth.Password,
			})
			return c.provided(s, err)
		}
		return new(tls.Config), nil
	case authCloud:
		return c.authenticateByCloud(auth)
	}
	return nil, badConfig("Auth", auth.Kind, "is none of none, http_basic and cloud")
}

// provided gives the service our HTTP client and name.
func (c *Client) provided(s *gophercloud.ServiceClient, err error) (*gophercloud.ServiceClient, error) {
	if err != nil {
		return nil, err
	}
	s.HTTPClient = *c.http
	s.UserAgent.Prepend(c.userAgent)
	return s, nil
}

func (c *Client) authenticateByCloud(auth Auth) (*tls.Config, error) {
	if auth.Cloud == "" {
		return nil, badConfig("Auth.Cloud", "", "names no entry of clouds.yaml")
	}
	where := []clouds.ParseOption{clouds.WithCloudName(auth.Cloud)}
	if auth.CloudsFile != "" {
		f, err := os.Open(auth.CloudsFile) // the parser would only say that it found no file
		if err != nil {
			return nil, badConfig("Auth.CloudsFile", auth.CloudsFile, "cannot be read: %w", err)
		}
		_ = f.Close()
		where = append(where, clouds.WithLocations(auth.CloudsFile))
	}
	options, endpoint, tlsConfig, err := clouds.Parse(where...)
	if err != nil {
		return nil, badConfig("Auth.Cloud", auth.Cloud, "cannot be used: %s", yamlValue.ReplaceAllString(err.Error(), "(a value)"))
	}
	if options.IdentityEndpoint == "" {
		return nil, badConfig("Auth.Cloud", auth.Cloud, "has no auth_url in clouds.yaml")
	}
	if at, err := url.Parse(options.IdentityEndpoint); err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" {
		return nil, badConfig("Auth.Cloud", auth.Cloud, "has an auth_url that is not http://host or https://host")
	}
	if options.TokenID == "" { // else it is not asked for
		scope, err := options.ToTokenV3ScopeMap()
		if err == nil {
			_, err = options.ToTokenV3CreateMap(scope)
		}
		if err != nil {
			return nil, badConfig("Auth.Cloud", auth.Cloud, "is not enough for a login: %w", err)
		}
	}
	c.where = &endpoint
	c.renewable = options.TokenID == "" // one given from outside stays as it is
	c.authenticate = func(ctx context.Context) (*gophercloud.ServiceClient, error) {
		return c.loginAtKeystone(ctx, options, endpoint)
	}
	return tlsConfig, nil
}

// yamlValue is how the YAML parser quotes a value that it did not expect, which can be a password.
var yamlValue = regexp.MustCompile("(?s)`.*`")

func (c *Client) loginAtKeystone(ctx context.Context, options gophercloud.AuthOptions, where gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error) {
	provider, err := openstack.NewClient(options.IdentityEndpoint)
	if err != nil {
		return nil, err
	}
	provider.HTTPClient = *c.http
	provider.UserAgent.Prepend(c.userAgent)
	// A token that is not taken any more leads to another login (endpoint.disown), and not to gophercloud's renewal: that ends
	// with the call that began it, fails anew for every call that comes upon it, and keeps the catalog of the first login.
	options.AllowReauth = false
	if err := openstack.Authenticate(ctx, provider, options); err != nil {
		return nil, loginFault(err)
	}
	service := &gophercloud.ServiceClient{ProviderClient: provider, Type: "baremetal", Endpoint: c.endpoints[0].url}
	if service.Endpoint != "" {
		return service, nil
	}
	where.ApplyDefaults(service.Type)
	located, err := provider.EndpointLocator(where)
	if err != nil {
		return nil, err
	}
	service.Endpoint, err = apiURL("Endpoint", located, "/v1")
	return service, err
}

// loginFault finds out what Keystone's 404 is about. Of an application credential that was removed, or that never was, it
// says neither 401 nor 403; other causes are not the credentials' (keystone/exception.py: ApplicationCredentialNotFound).
func loginFault(err error) error {
	var answer gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &answer) || answer.Actual != http.StatusNotFound {
		return err
	}
	var document struct{ Error struct{ Message string } }
	if json.Unmarshal(answer.Body, &document) != nil || !strings.Contains(document.Error.Message, "Application Credential") {
		return err
	}
	return &Error{Kind: ErrUnavailable, Op: loginOp, Reason: "unauthorized", Status: http.StatusNotFound,
		Err: errors.New("Keystone knows no such application credential")}
}
