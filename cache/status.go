// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"strconv"
	"time"
)

// Status is how a request was answered, in the words of RFC 9211.
type Status uint8

// The ways to answer.
const (
	Miss      Status = iota // filled for this request
	Collapsed               // shared the fill of another request
	Hit                     // kept and fresh
	Stale                   // kept, past its freshness lifetime, and the source did not answer
)

// Label is the status as a metric label.
func (s Status) Label() string {
	return [...]string{"miss", "collapsed", "hit", "stale"}[s]
}

// AppendHeader appends the value of a Cache-Status header field (RFC 9211 section 2): who answers, how, and for how
// much longer the answer is fresh. A negative ttl is how long ago it ceased to be.
func (s Status) AppendHeader(b []byte, cache string, ttl time.Duration) []byte {
	b = append(b, cache...)
	switch s {
	case Miss:
		return append(b, "; fwd=miss"...)
	case Collapsed:
		return append(b, "; fwd=miss; collapsed"...)
	case Stale:
		b = append(b, "; fwd=stale"...)
	case Hit:
		b = append(b, "; hit"...)
	}
	b = append(b, "; ttl="...)
	return strconv.AppendInt(b, int64(ttl/time.Second), 10)
}
