// SPDX-License-Identifier: Apache-2.0

package ironic_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// issue makes a certificate for 127.0.0.1, which is its own authority, and writes it and its key as PEM files.
func issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	t.Parallel()
	serverCert, serverKey := issue(t, "server")
	clientCert, clientKey := issue(t, "client")
	otherCert, otherKey := issue(t, "other")

	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	text, err := os.ReadFile(clientCert)
	if err != nil || !clients.AppendCertsFromPEM(text) {
		t.Fatalf("the client's certificate: %v", err)
	}
	api := httptest.NewUnstartedServer(ironictest.New(node1()))
	api.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	api.Config.ErrorLog = log.New(io.Discard, "", 0)
	api.StartTLS()
	t.Cleanup(api.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)

	for name, tt := range map[string]struct {
		cfg    ironic.Config
		reason string
	}{
		"both know each other":      {ironic.Config{CAFile: serverCert, ClientCert: clientCert, ClientKey: clientKey}, ""},
		"server not known":          {ironic.Config{ClientCert: clientCert, ClientKey: clientKey}, "tls"},
		"another server":            {ironic.Config{CAFile: otherCert, ClientCert: clientCert, ClientKey: clientKey}, "tls"},
		"client without a name":     {ironic.Config{CAFile: serverCert}, "tls"},
		"client not known":          {ironic.Config{CAFile: serverCert, ClientCert: otherCert, ClientKey: otherKey}, "tls"},
		"server without TLS":        {ironic.Config{Endpoint: "https" + plain.URL[len("http"):]}, "tls"},
		"TLS server asked in clear": {ironic.Config{Endpoint: "http" + api.URL[len("https"):]}, "http_400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.cfg.Endpoint == "" {
				tt.cfg.Endpoint = api.URL
			}
			_, err := newClient(t, tt.cfg).NodeByMAC(t.Context(), mac1)
			switch tt.reason {
			case "":
				if err != nil {
					t.Error(err)
				}
			case "tls":
				wantError(t, err, ironic.ErrUnavailable, tt.reason)
			default:
				wantError(t, err, ironic.ErrBadAnswer, tt.reason)
			}
		})
	}
}
