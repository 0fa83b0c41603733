// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Open asks for bytes, as cache.Origin says. Errors that are neither *cache.ChangedError nor *cache.OriginError, an
// *IdleError among them, are of the line: the same question may be answered at once.
func (s *Source) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	if ask.First < 0 {
		return nil, fmt.Errorf("ask %s for byte %d: there is none", s, ask.First)
	}
	header := http.Header{}
	if !ranged(ask) {
		return s.part(ctx, ask, header)
	}
	setRange(header, ask)
	// A weak validator must not be sent (RFC 9110 section 13.1.5); it is compared with the answer's.
	if ask.Same.Strong() {
		condition := ask.Same.ETag
		if condition == "" {
			condition = ask.Same.LastModified
		}
		header.Set("If-Range", condition)
	}
	return s.part(ctx, ask, header)
}

// part asks and makes a part of the answer.
func (s *Source) part(ctx context.Context, ask cache.Ask, header http.Header) (*cache.Part, error) {
	a, err := s.ask(ctx, http.MethodGet, header, nil)
	if err != nil {
		return nil, err
	}
	if a.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		if a, err = s.again(ctx, ask, a, nil); err != nil {
			return nil, err
		}
	}
	return s.read(a, ask, header.Get("If-Range") != "")
}

// ranged reports whether a question needs a Range: one for everything gets an answer that more servers know to give.
func ranged(ask cache.Ask) bool { return ask.First > 0 || ask.Length > 0 }

func setRange(h http.Header, ask cache.Ask) {
	value := "bytes=" + strconv.FormatInt(ask.First, 10) + "-"
	if last, bounded := lastOf(ask); bounded {
		value += strconv.FormatInt(last, 10)
	}
	h.Set("Range", value)
}

// lastOf returns the last byte that is asked for, unless it is the last that there is.
func lastOf(ask cache.Ask) (int64, bool) {
	if ask.Length <= 0 || ask.First > math.MaxInt64-ask.Length {
		return 0, false
	}
	return ask.First + ask.Length - 1, true
}

// again follows up on status 416. Of an empty representation no range can be given, so one from its beginning is asked
// for without: that answer is returned. Anything else is an error: there are fewer bytes than the asker believes, of
// this representation or of another one.
func (s *Source) again(ctx context.Context, ask cache.Ask, a *answer, extra http.Header) (*answer, error) {
	given, ok := parseContentRange(a.Header.Get("Content-Range"))
	known := ok && given.first < 0
	switch {
	case ask.First == 0 && (!known || given.size == 0):
		a.body.Close()
		return s.ask(ctx, http.MethodGet, http.Header{}, extra)
	case known && ask.First < given.size:
		a.body.Close()
		return nil, unusable("status 416 for bytes that it says it has")
	case ask.Same != cache.Validator{}:
		a.body.Close()
		return nil, &cache.ChangedError{}
	}
	return nil, refusal(a)
}
