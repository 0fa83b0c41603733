// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
	"github.com/ironic-edge/ironic-edge/ironic/notification/brokertest"
)

// TestNotificationsByTLS has a broker whose certificate is by the authority of ca_file, and then by another: status says what
// is so, and what to do.
func TestNotificationsByTLS(t *testing.T) {
	ours, err := brokertest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := brokertest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ours.Issue(nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	broker := brokertest.StartTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}}, ironicExchange)
	t.Setenv("EDGE_TEST_RABBIT", broker.Password)
	ironic := ironictest.Start(ironictest.DemoFleet("http://images.test")...)
	defer ironic.Close()
	address := freeAddress(t)
	config := func(by *brokertest.Authority) string {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, []byte(by.PEM), 0o600); err != nil {
			t.Fatal(err)
		}
		return siteConfig(address, ironic.URL, "notifications amqps://"+broker.User+":{env.EDGE_TEST_RABBIT}@"+broker.Address+" {\n\t\t\tca_file "+file+"\n\t\t}")
	}
	a := administer(t, config(ours))
	status := func() *api.Notifications { return tell[api.Status](t, a, "GET status").Edges[0].Notifications }
	eventually(t, "the edge is connected by TLS", func() bool {
		n := status()
		return n.Connected && n.Since != nil && n.Reason == "" && n.Broker == broker.Address
	})
	broker.Publish(ironicExchange, ironicKey, about("node", `{"uuid": "`+nodeUUID(1)+`"}`))
	eventually(t, "the last message is shown", func() bool { return status().Last != nil })

	a.reload(t, config(theirs))
	eventually(t, "status says what is wrong", func() bool {
		n := status()
		return !n.Connected && n.Since == nil && strings.Contains(n.Reason, "an authority that is not trusted here; give ca_file")
	})
	a.reload(t, config(ours))
	eventually(t, "the edge is connected again", func() bool { n := status(); return n.Connected && n.Reason == "" })
}
