// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// Flight coalesces work: while one call for a key is under way, others for the same key wait for it and share its
// result. The zero Flight is ready for use. It may be used by many goroutines at once.
type Flight[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*call[V]
}

type call[V any] struct {
	done   chan struct{} // closed when value and err are set
	value  V
	err    error
	cancel context.CancelFunc

	waiters int // guarded by Flight.mu
}

// PanicError is what every waiter gets for work that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Do returns the result of work for key, and whether it was begun by another caller. The work's context has the values
// of the first caller's and ends when the last waiter has left, not when the first one does: a client that hangs up
// takes nobody with it. A caller whose own context ends gets that context's error.
func (f *Flight[K, V]) Do(ctx context.Context, key K, work func(context.Context) (V, error)) (V, bool, error) {
	f.mu.Lock()
	c, shared := f.calls[key]
	if !shared {
		workCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		c = &call[V]{done: make(chan struct{}), cancel: cancel}
		if f.calls == nil {
			f.calls = make(map[K]*call[V])
		}
		f.calls[key] = c
		go f.run(workCtx, key, c, work) // ends with the work, whose context the last waiter cancels
	}
	c.waiters++
	f.mu.Unlock()

	select {
	case <-c.done:
		return c.value, shared, c.err
	case <-ctx.Done():
		f.leave(key, c)
		var none V
		return none, shared, ctx.Err()
	}
}

func (f *Flight[K, V]) run(ctx context.Context, key K, c *call[V], work func(context.Context) (V, error)) {
	defer c.cancel()
	defer func() {
		if p := recover(); p != nil {
			c.err = &PanicError{p, debug.Stack()}
		}
		f.mu.Lock()
		f.removeLocked(key, c)
		f.mu.Unlock()
		close(c.done)
	}()
	c.value, c.err = work(ctx)
}

func (f *Flight[K, V]) leave(key K, c *call[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.waiters--; c.waiters == 0 {
		f.removeLocked(key, c) // whoever comes now begins anew
		c.cancel()
	}
}

// removeLocked takes a call out unless another has taken its place.
func (f *Flight[K, V]) removeLocked(key K, c *call[V]) {
	if f.calls[key] == c {
		delete(f.calls, key)
	}
}
