// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// endpoint takes spans by OTLP over HTTP, as an OpenTelemetry collector does.
type endpoint struct {
	*httptest.Server

	mu    sync.Mutex
	spans []*otlp.Span
}

func startEndpoint() *endpoint {
	e := new(endpoint)
	e.Server = httptest.NewServer(e)
	return e
}

// ServeHTTP takes an export.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var export collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &export) != nil {
		http.Error(w, "not an export of traces", http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, resource := range export.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			e.spans = append(e.spans, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// all are the spans that have come.
func (e *endpoint) all() []*otlp.Span {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.spans)
}

// attribute is a span's attribute as text, or empty.
func attribute(s *otlp.Span, name string) string {
	for _, a := range s.Attributes {
		if a.Key == name {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func id(b []byte) string { return hex.EncodeToString(b) }
