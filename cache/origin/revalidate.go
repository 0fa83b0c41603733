// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"net/http"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Revalidation is the answer to whether a representation is still the one that is kept.
type Revalidation struct {
	// NotModified says that it is. Header then has what is new about it (RFC 9111 section 4.3.4), and there is no part.
	NotModified bool
	Header      http.Header
	// Part is of what the origin has now, to be closed by the caller.
	Part *cache.Part
	// When the question was sent and when the answer's header had come.
	Asked, Answered time.Time
}

// Revalidate asks whether the representation with this validator is still the one that the origin has. If it is not, the
// answer has the first length bytes of the new one, or all with a length of 0, so that a large one need not be begun by
// who may not want it. The extra header goes where the source's own does. The zero validator asks for the part.
func (s *Source) Revalidate(ctx context.Context, v cache.Validator, extra http.Header, length int64) (*Revalidation, error) {
	header := http.Header{}
	if v.ETag != "" {
		header.Set("If-None-Match", v.ETag)
	}
	if v.LastModified != "" {
		header.Set("If-Modified-Since", v.LastModified) // for servers that know no tags; the others disregard it
	}
	ask := cache.Ask{Length: length}
	if ranged(ask) {
		setRange(header, ask)
	}
	extra = plain(extra)
	a, err := s.ask(ctx, http.MethodGet, header, extra)
	if err != nil {
		return nil, err
	}
	switch a.StatusCode {
	case http.StatusNotModified:
		return notModified(a, v)
	case http.StatusRequestedRangeNotSatisfiable:
		if a, err = s.again(ctx, ask, a, extra); err != nil {
			return nil, err
		}
	}
	p, err := s.read(a, ask, false)
	if err != nil {
		return nil, err
	}
	return &Revalidation{Header: p.Header, Part: p, Asked: p.Asked, Answered: p.Answered}, nil
}

// notModified believes a 304 unless it is of another representation than the one asked about.
func notModified(a *answer, v cache.Validator) (*Revalidation, error) {
	a.body.Close()
	got := validatorOf(a.Header)
	if v == (cache.Validator{}) || v.ETag != "" && got.ETag != "" && !weaklyEqual(v.ETag, got.ETag) {
		return nil, unusable("status 304 about what was not asked")
	}
	return &Revalidation{NotModified: true, Header: a.Header, Asked: a.asked, Answered: a.came}, nil
}
