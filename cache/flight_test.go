// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func TestFlightCoalesces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		var group sync.WaitGroup
		release := make(chan struct{})
		calls, begun := 0, 0
		var mu sync.Mutex
		for range 1000 {
			group.Go(func() {
				v, shared, err := f.Do(t.Context(), "key", func(context.Context) (int, error) {
					calls++
					<-release
					return 42, nil
				})
				if v != 42 || err != nil {
					t.Errorf("Do = %d, %v; want 42", v, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if !shared {
					begun++
				}
			})
		}
		synctest.Wait()
		close(release)
		group.Wait()
		if calls != 1 || begun != 1 {
			t.Errorf("%d calls for %d who began one, want one of each", calls, begun)
		}
	})
}

func TestFlightOutlivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		var group sync.WaitGroup
		release := make(chan struct{})
		work := func(ctx context.Context) (int, error) {
			select {
			case <-release:
				return 42, nil
			case <-ctx.Done():
				return 0, errors.New("the work was ended")
			}
		}
		first, leave := context.WithCancel(t.Context())
		group.Go(func() {
			if _, _, err := f.Do(first, "key", work); !errors.Is(err, context.Canceled) {
				t.Errorf("who left gets %v, want its own context's error", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if v, _, err := f.Do(t.Context(), "key", work); v != 42 || err != nil {
				t.Errorf("who stayed gets %d, %v; want 42", v, err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(release)
		group.Wait()
	})
}

func TestFlightEndsWithItsLastWaiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		ctx, leave := context.WithCancel(t.Context())
		ended := false
		go f.Do(ctx, "key", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended = true
			return 0, ctx.Err()
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		if !ended {
			t.Error("the work goes on although nobody waits for it")
		}
		if len(f.calls) != 0 {
			t.Errorf("%d calls are left behind", len(f.calls))
		}
	})
}

func TestFlightHandsPanicsToEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		var group sync.WaitGroup
		release := make(chan struct{})
		for range 3 {
			group.Go(func() {
				_, _, err := f.Do(t.Context(), "key", func(context.Context) (int, error) {
					<-release
					panic("boom")
				})
				var p *PanicError
				if !errors.As(err, &p) || p.Value != "boom" {
					t.Errorf("Do = %v, want the panic", err)
				}
			})
		}
		synctest.Wait()
		close(release)
		group.Wait()
	})
}
