// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"maps"
	"mime"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// heldAnswer is an answer of Ironic's to its agent, held back until it is whole: what broke off can still become
// another answer, and what the client did not get can be given again. One that is too large goes through to the client.
// It is memory only, and clear ends its body.
type heldAnswer struct {
	client  http.ResponseWriter
	header  http.Header
	status  int
	body    []byte
	through bool
}

// maxHeld is the largest body that is held back. A lookup's answer has a few kilobytes.
const maxHeld = 1 << 20

func newHeldAnswer(client http.ResponseWriter) *heldAnswer {
	return &heldAnswer{client: client, header: make(http.Header)}
}

// Header is the answer's.
func (a *heldAnswer) Header() http.Header {
	if a.through {
		return a.client.Header()
	}
	return a.header
}

// WriteHeader takes the status; interim ones are not for agents.
func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write takes a part of the body.
func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if !a.through && len(a.body)+len(p) > maxHeld {
		a.write(a.client, http.MethodGet)
		a.clear()
		a.through = true
	}
	if a.through {
		return a.client.Write(p)
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// Flush does nothing: reverse_proxy calls it, and nothing is to leave yet.
func (a *heldAnswer) Flush() {}

// write gives the answer to a client.
func (a *heldAnswer) write(w http.ResponseWriter, method string) {
	if a.through {
		return
	}
	header := w.Header()
	maps.Copy(header, a.header)
	header.Set("Cache-Control", noStore)
	w.WriteHeader(a.status)
	if method != http.MethodHead {
		_, _ = w.Write(a.body) // the client is gone; it asks again
	}
}

// clear overwrites the body, which may hold the agent's token.
func (a *heldAnswer) clear() {
	clear(a.body)
	a.body = nil
}

func (a *heldAnswer) ok() bool { return a.status/100 == 2 }

// relay hands a call to the next handler. An error of Caddy's is for whoever called; errGone says that Ironic is not
// there or its answer broke off, and nothing has been written to the client.
func (h *Handler) relay(a *heldAnswer, r *http.Request, way way, next caddyhttp.Handler) (err error) {
	h.metrics.relayed(way.String())
	ctx, step := startStep(r.Context(), "ironic-edge relay", trace.SpanKindClient)
	defer step.end()
	defer func() {
		// reverse_proxy ends with this panic when an answer breaks off that Ironic has begun.
		if p := recover(); p == http.ErrAbortHandler && !a.through { //nolint:errorlint // panics are not wrapped
			err = errGone
		} else if p != nil {
			panic(p)
		}
	}()
	err = next.ServeHTTP(a, withContext(r, ctx))
	step.number(attributeStatus, int64(a.status))
	var failed caddyhttp.HandlerError
	switch {
	case a.through:
		return err
	case errors.As(err, &failed):
		if gateway(failed.StatusCode) || failed.StatusCode == http.StatusServiceUnavailable {
			h.site.complaints.Do(func() {
				h.logger.Warn("a call of the agent could not be relayed", zap.String("call", way.String()), zap.Error(failed.Err))
			})
			return errGone
		}
		return err
	case err != nil:
		return err
	case gateway(a.status) || a.status == http.StatusServiceUnavailable && !isJSON(a.header):
		return errGone // a proxy before Ironic says so
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
		a.header.Set("Retry-After", h.retryAfter(reasonUnavailable, 0))
	}
	return nil
}

var errGone = errors.New("Ironic is gone")

func gateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}

func isJSON(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/json"
}
