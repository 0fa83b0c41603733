// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Line is what the transfers of one client or several share. The zero value, and nil, are as fast as it goes. It is safe
// for concurrent use.
//
// It is reading that waits, after the bytes have come: what is not read stays in the socket, TCP closes its window, and
// the origin slows down. Waiters are served in the order in which they came, each with a chunk of one size at most, so
// transfers get equal shares.
type Line struct {
	setting sync.Mutex // held while the pipe is changed
	pipe    atomic.Pointer[pipe]
}

// pipe is a line with a limit. The limiter outlives changes of the rate: what was taken too much is owed.
type pipe struct {
	limiter *rate.Limiter
	chunk   int // bytes
}

// SetRate sets how many bytes of bodies per second all transfers together may take; 0: no limit. Who waits already waits
// as long as it was told.
func (l *Line) SetRate(bytesPerSecond int64) {
	l.setting.Lock()
	defer l.setting.Unlock()
	if bytesPerSecond <= 0 {
		l.pipe.Store(nil)
		return
	}
	// A twentieth of a second can be made up for: timers are late by about a millisecond, and without that a fast line
	// would lose what could have come meanwhile.
	burst := int(min(max(bytesPerSecond/20, 512), 1<<30))
	next := &pipe{chunk: min(burst, 64<<10)}
	if last := l.pipe.Load(); last != nil {
		next.limiter = last.limiter
		next.limiter.SetLimit(rate.Limit(bytesPerSecond))
		next.limiter.SetBurst(burst)
	} else {
		next.limiter = rate.NewLimiter(rate.Limit(bytesPerSecond), burst)
	}
	l.pipe.Store(next)
}

// limit cuts a buffer to what may be read in one go.
func (l *Line) limit(p []byte) []byte {
	if l == nil {
		return p
	}
	if pipe := l.pipe.Load(); pipe != nil && len(p) > pipe.chunk {
		return p[:pipe.chunk]
	}
	return p
}

// spend takes n bytes that have come from everybody's account, and returns how long to wait until the next.
func (l *Line) spend(n int) time.Duration {
	if l == nil {
		return 0
	}
	pipe := l.pipe.Load()
	if pipe == nil || n == 0 {
		return 0
	}
	for now := time.Now(); ; {
		// The line may have become slower since the bytes were let through: then they are more than a burst.
		part := min(n, pipe.limiter.Burst())
		r := pipe.limiter.ReserveN(now, part)
		if !r.OK() { // it has become slower still
			continue
		}
		if n -= part; n == 0 {
			return r.Delay()
		}
	}
}

// wait spends and waits. What has come has come: the bytes stay spent when the context ends meanwhile.
func (l *Line) wait(ctx context.Context, n int) {
	d := l.spend(n)
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
