// SPDX-License-Identifier: Apache-2.0

//go:build integration

package telemetry

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/edge"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// rack is an edge with a store and an inventory, before a stand-in Ironic with one node in each state.
type rack struct {
	t    *testing.T
	api  *ironictest.Server
	edge *edge.Edge
}

type starter func(ctx context.Context, binary, dir, ironic string, options ...string) (*edge.Edge, error)

func startRack(t *testing.T, start starter, options ...string) *rack {
	t.Helper()
	images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Etag", `"`+r.URL.Path+`"`)
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(bytes.Repeat([]byte("an image"), 8<<10)))
	}))
	t.Cleanup(images.Close)
	r := &rack{t: t, api: ironictest.Start(ironictest.DemoFleet(images.URL)...)}
	t.Cleanup(r.api.Close)
	binary, err := edge.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r.edge, err = start(t.Context(), binary, dir, r.api.URL, append([]string{"public_url http://{address}",
		"store " + dir + "/store {\n\t\t\tmin_free 0\n\t\t}", "allow_origins " + images.URL}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.edge.Stop)
	return r
}

// machine is that of a node, counted from 1.
func (r *rack) machine(n int) *machine {
	return &machine{ctx: r.t.Context(), edge: "http://" + r.edge.Address, mac: r.api.Nodes()[n-1].Ports[0].Address}
}
