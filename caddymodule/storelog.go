// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// logSwitch is the handler of a logger that outlives configurations: it hands on to that of the newest one. The loggers of
// older ones end with them.
type logSwitch struct {
	to     *atomic.Pointer[slog.Handler]
	derive func(slog.Handler) slog.Handler // adds what With and WithGroup were given
}

func newLogSwitch(to slog.Handler) *logSwitch {
	s := &logSwitch{to: new(atomic.Pointer[slog.Handler]), derive: func(h slog.Handler) slog.Handler { return h }}
	s.set(to)
	return s
}

func (s *logSwitch) set(to slog.Handler) { s.to.Store(&to) }

// Enabled asks the newest configuration's handler.
func (s *logSwitch) Enabled(ctx context.Context, level slog.Level) bool {
	return (*s.to.Load()).Enabled(ctx, level)
}

// Handle hands a record to the newest configuration's handler.
func (s *logSwitch) Handle(ctx context.Context, record slog.Record) error {
	return s.derive(*s.to.Load()).Handle(ctx, record)
}

// WithAttrs returns a switch that goes with this one.
func (s *logSwitch) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logSwitch{s.to, func(h slog.Handler) slog.Handler { return s.derive(h).WithAttrs(attrs) }}
}

// WithGroup returns a switch that goes with this one.
func (s *logSwitch) WithGroup(name string) slog.Handler {
	return &logSwitch{s.to, func(h slog.Handler) slog.Handler { return s.derive(h).WithGroup(name) }}
}
