// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/cache/shared"
)

// serveTarget answers from the store, which is filled from the target's origin.
func (h *Handler) serveTarget(w http.ResponseWriter, r *http.Request, target *shared.Target, label string) error {
	store := h.storage.shared()
	if store == nil { // the configuration is just starting
		return h.refuse(w, r, refusal{http.StatusServiceUnavailable, reasonStarting, "the store is being opened"})
	}
	ctx, step := startStep(r.Context(), "ironic-edge transfer", trace.SpanKindInternal)
	defer step.end()
	limiter, leave, ok := h.storage.admission.enter(r, h.maxTransfers, h.pace)
	if !ok {
		return h.refuse(w, r, refusal{http.StatusServiceUnavailable, reasonBusy, "too many transfers are under way"})
	}
	defer leave()
	counted := &countingWriter{ResponseWriter: w, request: r}
	if limiter != nil {
		counted.ResponseWriter = &pacedWriter{w, r.Context(), limiter}
	}
	counted.transfer = h.imageAsked(r, label, &counted.n)
	whole := false
	defer func() {
		counted.transfer.End(whole)
		step.number(attributeBytes, counted.n.Load())
		outcome := "ok"
		if p := recover(); p != nil { // the answer was cut short
			h.imageSent(label, "short", counted.n.Load())
			step.fail()
			panic(p)
		}
		if counted.failed {
			outcome = "failed"
		}
		h.imageSent(label, outcome, counted.n.Load())
	}()
	err := mayRead(ctx, target)
	if err == nil {
		err = store.Serve(counted, withContext(r, ctx), target)
	}
	if err == nil {
		whole = true
		return nil
	}
	if r.Context().Err() != nil {
		return nil // the client is gone
	}
	counted.failed = true
	step.fail()
	return h.refuseOrigin(w, r, label, err)
}

// refuseReference answers when an image reference leads nowhere, or where only the configuration may lead.
func (h *Handler) refuseReference(w http.ResponseWriter, r *http.Request, route route, err error) error {
	h.logger.Warn("image reference cannot be followed", zap.String("node", route.subject), zap.String("label", route.label), zap.Error(err))
	if address := (*origin.AddressError)(nil); errors.As(err, &address) {
		return h.refuse(w, r, refusedAddress(address))
	}
	if file := (*foreignFile)(nil); errors.As(err, &file) {
		return h.refuse(w, r, refusedFile())
	}
	return h.refuse(w, r, refusal{http.StatusBadGateway, reasonReference, "the image's reference " + err.Error()})
}

// refusedAddress does not tell the client what a name means in the networks of the edge.
func refusedAddress(e *origin.AddressError) refusal {
	return refusal{http.StatusBadGateway, reasonAddress,
		"the image's reference leads to " + e.Why + ", and its origin does not stand in the configuration; add it to allow_origins"}
}

// imageSent counts a transfer.
func (h *Handler) imageSent(label, outcome string, bytes int64) {
	h.metrics.image(label, outcome, bytes)
	h.storage.sent.Add(bytes)
}

// refuseOrigin answers when an origin does not deliver.
func (h *Handler) refuseOrigin(w http.ResponseWriter, r *http.Request, label string, err error) error {
	if address := (*origin.AddressError)(nil); errors.As(err, &address) {
		h.logger.Warn("image reference may not be followed", zap.String("label", label), zap.Error(err))
		return h.refuse(w, r, refusedAddress(address))
	}
	if file := (*foreignFile)(nil); errors.As(err, &file) {
		h.logger.Warn("image reference may not be followed", zap.String("label", label), zap.Error(err))
		return h.refuse(w, r, refusedFile())
	}
	h.logger.Warn("image origin does not deliver", zap.String("label", label), zap.Error(err))
	status, retry, text := http.StatusServiceUnavailable, time.Duration(0), "the image's origin does not answer"
	var failure *shared.Failure
	var answer *cache.OriginError
	if errors.As(err, &answer) && !errors.As(err, &failure) {
		failure = &shared.Failure{Status: answer.Status, Reason: answer.Reason, Err: err}
		err = failure
	}
	if errors.As(err, &failure) {
		status, retry = failure.Status, failure.RetryAfter
		if failure.Status < http.StatusInternalServerError || failure.Status == http.StatusBadGateway {
			text = "the image's origin answers with " + failure.Reason
		}
	}
	return h.refuseFor(w, r, refusal{status, reasonOrigin, text}, retry)
}
