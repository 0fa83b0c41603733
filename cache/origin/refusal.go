// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

const (
	maxRefusal    = 64 << 10 // of an error's body
	maxRetryAfter = time.Hour
)

// unusable is what becomes of an answer that lies, or that is none to what was asked.
func unusable(format string, args ...any) error {
	return &cache.OriginError{Status: http.StatusBadGateway, Reason: fmt.Sprintf(format, args...)}
}

// refusal is what becomes of an answer with an error status. It closes the answer.
func refusal(a *answer) error {
	e := &cache.OriginError{
		Status:     a.StatusCode,
		Reason:     "status " + strconv.Itoa(a.StatusCode),
		RetryAfter: retryAfter(a.Header, time.Now()),
		Temporary:  temporary(a.StatusCode),
		Header:     a.Header,
	}
	// The idle limit bounds the whole of it here: a page of an error is not worth more, and what has come by then is.
	timer := time.AfterFunc(a.body.idle, func() { a.body.cancel(context.Canceled) })
	defer timer.Stop()
	e.Body, _ = io.ReadAll(io.LimitReader(a.body, maxRefusal))
	a.body.Close()
	return e
}

// temporary tells the statuses that may be others next time: those of the server, and of the client's those that say so.
func temporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// retryAfter reads the field in both of its forms (RFC 9110 section 10.2.3). A date is taken by the origin's own clock if
// the answer has its time. What asks for longer than an hour gets an hour: nobody would wait, and a machine would never
// boot again after a slip.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
