// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// line is what all transfers share. A nil line is as fast as it goes.
//
// It is reading that waits, after the bytes have come: what is not read stays in the socket, TCP closes its window, and
// the origin slows down. Waiters are served in the order in which they came, each with a chunk of one size at most, so
// transfers get equal shares.
type line struct {
	limiter *rate.Limiter
	chunk   int
}

func newLine(bytesPerSecond int64) *line {
	if bytesPerSecond == 0 {
		return nil
	}
	// A twentieth of a second can be made up for: timers are late by about a millisecond, and without that a fast line
	// would lose what could have come meanwhile.
	burst := int(min(max(bytesPerSecond/20, 512), 1<<30))
	return &line{rate.NewLimiter(rate.Limit(bytesPerSecond), burst), min(burst, 64<<10)}
}

// limit cuts a buffer to what may be read in one go.
func (l *line) limit(p []byte) []byte {
	if l != nil && len(p) > l.chunk {
		return p[:l.chunk]
	}
	return p
}

// spend takes n bytes that have come from everybody's account, and returns how long to wait until the next.
func (l *line) spend(n int) time.Duration {
	if l == nil || n == 0 {
		return 0
	}
	return l.limiter.ReserveN(time.Now(), n).Delay()
}

// wait spends and waits. What has come has come: the bytes stay spent when the context ends meanwhile.
func (l *line) wait(ctx context.Context, n int) {
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
