// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"net/http"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Head asks as Fetch does, for the header alone. Any answer is a part, whose body is empty.
func (s *Source) Head(ctx context.Context, header http.Header) (*cache.Part, error) {
	a, err := s.ask(ctx, http.MethodHead, conditions(header), plain(header))
	if err != nil {
		return nil, err
	}
	a.body.Close()
	p := &cache.Part{Body: http.NoBody, Size: a.ContentLength, Validator: validatorOf(a.Header),
		Status: a.StatusCode, Header: a.Header, Asked: a.asked, Answered: a.came}
	return p, nil
}

// conditions are those of a client.
func conditions(header http.Header) http.Header {
	h := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if values, ok := header[name]; ok {
			h[name] = values
		}
	}
	return h
}
