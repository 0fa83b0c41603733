// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// tellOfIronic writes one line for each change, the metric and the event. A site outlives the configuration that made it, and so the
// logger is that of the process.
func (s *site) tellOfIronic(c ironicChange) {
	name := s.name
	log := caddy.Log().Named("http.handlers." + directive).With(zap.String("ironic", name))
	if c.up {
		collectors.up.WithLabelValues(name).Set(1)
		log.Info("Ironic is back; nodes are asked for again, a few at a time at first", zap.Duration("was_down", c.lasted.Round(time.Millisecond)))
		return
	}
	collectors.up.WithLabelValues(name).Set(0)
	reason := "unknown"
	var e *ironic.Error
	if errors.As(c.err, &e) {
		reason = e.Reason
	}
	s.boots.emit(eventIronicDown, map[string]any{"ironic": name, "problem": reason})
	log.Error("Ironic is down; nodes get what is known of them, or are told to come back, while one look at a time finds out when it is back",
		zap.String("reason", reason), zap.Error(c.err), zap.Duration("next_look", c.look.Round(time.Millisecond)))
}

// outage reports whether an error says that Ironic cannot be asked now, or answers with nonsense, and not that it said no.
func outage(err error) bool {
	return errors.Is(err, ironic.ErrUnavailable) || errors.Is(err, ironic.ErrBadAnswer) || errors.Is(err, lookup.ErrSlow)
}

// unasked is the answer to a client where Ironic could not be asked, and for how long that is so at least, if it is known.
func unasked(err error) (f refusal, known time.Duration) {
	f = refusal{http.StatusServiceUnavailable, reasonUnavailable, "Ironic cannot be asked at the moment"}
	var e *ironic.Error
	switch {
	case errors.Is(err, lookup.ErrSlow):
		f.reason, f.text = reasonSlow, "Ironic has not answered yet; it is being asked"
	case errors.Is(err, errConductorSlow):
		f.reason, f.text = reasonConductor, "the conductor has not given the node's script yet; it is being asked"
	case errors.Is(err, errConductorBusy):
		f.reason, f.text = reasonConductor, "too many scripts of the conductor are being read already"
	case errors.Is(err, errFull):
		f.reason, f.text = reasonQueue, "too many questions wait for Ironic already"
	case errors.Is(err, errClientRate):
		f.reason, f.text = reasonClientRate, "this address has asked for too many nodes that are not known here"
	case errors.As(err, &e):
		known = e.RetryAfter
	}
	return f, known
}

// quiet is a logger for what clients can cause: of a message that comes often, ten lines in a second and then one in a
// thousand.
func quiet(l *zap.Logger) *zap.Logger {
	return l.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 10, 1000)
	}))
}
