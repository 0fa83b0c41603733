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

	// Guarded by Flight.mu.
	waiters int
	kept    bool // one of the waiters is a life, see Keep
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
	c, shared := f.join(ctx, nil, key, work)
	return f.wait(ctx, key, c, shared)
}

// Keep is Do for work that goes on when all callers have left, while life lasts.
func (f *Flight[K, V]) Keep(ctx, life context.Context, key K, work func(context.Context) (V, error)) (V, bool, error) {
	c, shared := f.join(ctx, life, key, work)
	return f.wait(ctx, key, c, shared)
}

// Start begins work for key and waits for nothing. The work goes on while life lasts. False: there is some under way
// already.
func (f *Flight[K, V]) Start(life context.Context, key K, work func(context.Context) (V, error)) bool {
	c, shared := f.join(life, life, key, work)
	f.leave(key, c)
	return !shared
}

// join returns the call under way for key, beginning one if there is none, with one waiter more. A life counts as another
// waiter.
func (f *Flight[K, V]) join(ctx, life context.Context, key K, work func(context.Context) (V, error)) (*call[V], bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
	if life != nil && !c.kept {
		c.kept = true
		c.waiters++
		end, stop := c.cancel, context.AfterFunc(life, func() { f.leave(key, c) })
		c.cancel = func() { stop(); end() }
	}
	return c, shared
}

func (f *Flight[K, V]) wait(ctx context.Context, key K, c *call[V], shared bool) (V, bool, error) {
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
	defer func() {
		if p := recover(); p != nil {
			c.err = &PanicError{p, debug.Stack()}
		}
		f.mu.Lock()
		f.removeLocked(key, c)
		end := c.cancel
		f.mu.Unlock()
		close(c.done)
		end()
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
