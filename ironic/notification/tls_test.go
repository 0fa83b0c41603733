// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/notification/brokertest"
)

// TestListenTLS has brokers with certificates of all sorts.
func TestListenTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	for name, c := range map[string]struct {
		by   *brokertest.Authority // whose certificate the broker has; nil: it speaks no TLS
		of   func(*x509.Certificate)
		ca   string // ca_file
		want string
	}{
		"by the authority of ca_file": {ours, nil, ours.PEM, "connected"},
		"by one of several":           {ours, nil, theirs.PEM + ours.PEM, "connected"},
		"by another authority":        {theirs, nil, ours.PEM, "lost: the broker's certificate comes from an authority that is not trusted here; give ca_file"},
		"by none of the system's":     {ours, nil, "", "lost: the broker's certificate comes from an authority that is not trusted here; give ca_file"},
		"for another address":         {ours, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} }, ours.PEM, "lost: the broker's certificate is not for 127.0.0.1"},
		"run out":                     {ours, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, ours.PEM, "lost: the broker's certificate has run out"},
		"not yet":                     {ours, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, ours.PEM, "lost: the broker's certificate has run out, or is not valid yet"},
		"for no server":               {ours, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, ours.PEM, "lost: the broker's certificate cannot be used"},
		"no TLS":                      {nil, nil, ours.PEM, "lost: the broker does not speak TLS at this port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var config *tls.Config
			if c.by != nil {
				cert, key, err := c.by.Issue(c.of)
				if err != nil {
					t.Fatal(err)
				}
				pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
				if err != nil {
					t.Fatal(err)
				}
				config = &tls.Config{Certificates: []tls.Certificate{pair}}
			}
			broker := brokertest.StartTLS(t, config, exchange)
			to := configOf(broker)
			to.TLS, to.CA = true, c.ca
			heard, _ := listen(t, to)
			heard.want(t, c.want)
			if c.want == "connected" {
				broker.Publish(exchange, topic+".info", changeOf(someNode))
				heard.want(t, "changed node "+someNode)
			}
		})
	}
}

func newAuthority(t *testing.T) *brokertest.Authority {
	t.Helper()
	a, err := brokertest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}
