// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
)

const (
	// maxConnections is how many requests to one server are under way at once; more wait, which counts as the server's time.
	// So it is more than our users ask for at once. One ironic-api process answers about as many requests a second with 10
	// under way as with 50, each of them five times later.
	maxConnections = 48
	// maxBody is far above any node: one with all its fields and a long history of steps has some 100 kB.
	maxBody = 8 << 20
)

func newTransport(config *tls.Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = maxConnections, maxConnections
	return t
}

// newHTTPClient has no timeout of its own: every request is made with a context that has one.
func newHTTPClient(base http.RoundTripper, wrap func(http.RoundTripper) http.RoundTripper) *http.Client {
	if wrap != nil {
		base = wrap(base)
	}
	return &http.Client{
		Transport: limitBodies{base},
		// net/http would take X-Auth-Token along to wherever a redirection points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// addCertificates adds the configured files to the TLS settings that came with the authentication.
func addCertificates(config *tls.Config, cfg Config) error {
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return badConfig("CAFile", cfg.CAFile, "cannot be read: %w", err)
		}
		if config.RootCAs == nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return badConfig("CAFile", cfg.CAFile, "holds no PEM certificate")
		}
	}
	if (cfg.ClientCert == "") != (cfg.ClientKey == "") {
		return badConfig("ClientCert", cfg.ClientCert+cfg.ClientKey, "is a certificate or a key without the other")
	}
	if cfg.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.ClientCert, cfg.ClientKey)
		if err != nil {
			return badConfig("ClientCert", cfg.ClientCert, "cannot be used with its key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return nil
}

var errTooLarge = errors.New("the answer is too large")

// limitBodies bounds the memory that an answer can take, an error's body included, which gophercloud reads whole.
type limitBodies struct{ next http.RoundTripper }

func (l limitBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{resp.Body, maxBody}
	}
	return resp, err
}

type limitedBody struct {
	io.ReadCloser
	left int64 // negative once it is known that there is more
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
