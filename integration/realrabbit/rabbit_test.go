// SPDX-License-Identifier: Apache-2.0

//go:build integration

package realrabbit

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
)

// TestBrokerComesBack ends a broker and begins it again, as often as it takes for a name or a port that is still held, and
// one while another runs.
func TestBrokerComesBack(t *testing.T) {
	var brokers [2]*Rabbit
	for i := range brokers {
		r, err := Start(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
		brokers[i] = r
	}
	for range 3 {
		if err := brokers[0].Down(); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", brokers[0].Address); err == nil {
			_ = conn.Close()
			t.Error("a broker that is down takes connections")
		}
		if err := brokers[0].Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := os.ReadFile(brokers[0].CA)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca)
	for i, r := range brokers {
		conn, err := tls.Dial("tcp", r.TLSAddress, &tls.Config{RootCAs: trusted})
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != (i == 0) {
			t.Errorf("broker %d by the authority of the first: %v", i, err)
		}
	}
}
