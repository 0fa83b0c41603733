// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// TestLogsShowNoURL lets origins fail in ways whose errors could hold a URL with the signature in it.
func TestLogsShowNoURL(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		location string
		status   int
	}{
		"not a URL":       {"http://a/%zz?temp_url_sig=s3cret", 503},
		"no such scheme":  {"ftp://a/k?temp_url_sig=s3cret", 502},
		"not allowed":     {"http://127.0.0.1:2/k?temp_url_sig=s3cret", 502},
		"nobody there":    {"http://127.0.0.1:1/k?temp_url_sig=s3cret", 503},
		"to itself again": {"?temp_url_sig=s3cret", 502},
	} {
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", tt.location)
			w.WriteHeader(http.StatusFound)
		}))
		t.Cleanup(origin.Close)
		api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
		t.Cleanup(api.Close)
		e := newEdgeBefore(t, api, func(h *Handler) { h.AllowOrigins = []string{"http://127.0.0.1:1"} })
		core, logs := observer.New(zap.DebugLevel)
		e.handler.logger = zap.New(core)
		got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel")
		if got.status != tt.status || strings.Contains(got.body, "s3cret") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if text := fmt.Sprint(logs.All()); !strings.Contains(text, "image origin") || strings.Contains(text, "s3cret") {
			t.Errorf("%s: the log says %s", name, text)
		}
	}
}
