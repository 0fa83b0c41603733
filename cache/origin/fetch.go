// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"net/http"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Fetch asks as a client does whose question is passed on: with its fields and conditions, but for Range, which is that
// of ask. Any answer is a part, a 304 and an error's page, too; of a status other than 200 and 206 it is the whole. An
// error means that none came, or one that lies.
func (s *Source) Fetch(ctx context.Context, header http.Header, ask cache.Ask) (*cache.Part, error) {
	h := conditions(header)
	if ranged(ask) {
		setRange(h, ask)
	}
	extra := plain(header) // a client's credentials are not for where a redirect leads
	a, err := s.ask(ctx, http.MethodGet, h, extra)
	if err != nil {
		return nil, err
	}
	if a.StatusCode == http.StatusRequestedRangeNotSatisfiable && ranged(ask) {
		h.Del("Range")
		a.body.Close()
		ask = cache.Ask{}
		if a, err = s.ask(ctx, http.MethodGet, h, extra); err != nil {
			return nil, err
		}
	}
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent {
		return s.read(a, ask, false)
	}
	p := &cache.Part{Body: a.body, Length: a.ContentLength, Size: a.ContentLength, Validator: validatorOf(a.Header),
		Status: a.StatusCode, Header: a.Header, Asked: a.asked, Answered: a.came}
	return p, nil
}
