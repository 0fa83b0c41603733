// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

// startTLS starts an origin with a certificate, and returns a client that trusts it by a file.
func startTLS(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server, newClient(t, func(c *Config) { c.CAFile = file })
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, c := startTLS(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	p, err := source(t, c, server.URL, nil).Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, p, err), "200, 0+8 of 8: HTTP/1.1"; got != want {
		t.Errorf("Open = %s, want %s, though the server has HTTP/2", got, want)
	}
	p, err = source(t, newClient(t, nil), server.URL, nil).Open(t.Context(), cache.Ask{})
	if got := outcome(t, p, err); !strings.Contains(got, "x509") {
		t.Errorf("Open without the file = %s, want an error about the certificate", got)
	}
}

// TestTLSEnd has a body without a length, after which TLS says that this was all. Go would say so, too, if the connection
// had been cut.
func TestTLSEnd(t *testing.T) {
	t.Parallel()
	server, c := startTLS(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, wire("HTTP/1.1 200 OK\n\n01234"))
	})
	p, err := source(t, c, server.URL, nil).Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, p, err), "refused 502: a body whose end is that of its connection"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
}
