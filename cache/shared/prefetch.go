// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// ErrNotKept is the error of Prefetch for a target that may not be kept, or does not fit.
var ErrNotKept = errors.New("the target is not kept")

// Prefetch has a target in the store, whole, before anybody asks for it. It waits until that is so, and tells how far it
// is with each block; size is -1 while it is not known.
func (c *Cache) Prefetch(ctx context.Context, t *Target, progress func(have, size int64)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL.String(), nil)
	if err != nil {
		return err
	}
	o, err := c.obtain(r, t)
	if err != nil {
		return err
	}
	defer o.Release()
	c.resume(t, o)
	for {
		changed := o.Changed()
		filling, err := o.Filling()
		progress(o.Stored(), o.Size())
		switch {
		case filling: // or on its way to the disk
		case o.Whole():
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// obtain returns the object of a target that is fresh, or was confirmed or begun just now.
func (c *Cache) obtain(r *http.Request, t *Target) (*disk.Object, error) {
	request := rules.Request{Method: http.MethodGet, URL: t.URL, Header: http.Header{}}
	for range mostTries {
		all, variants := c.variants(t.Key)
		if i := rules.Choose(variants, request.Header); i >= 0 {
			if t.Policy.Decide(request.Header, &variants[i].Response, time.Now()).Verdict == rules.Fresh {
				if o, _ := c.store.Get(all[i].key); o != nil {
					return o, nil
				}
			}
		}
		result, _ := c.ask(nil, r, t, c.plain(t, request), false)
		result.discard()
		if result.err != nil {
			return nil, result.err
		}
		if result.key == "" {
			break
		}
		if o, _ := c.store.Get(result.key); o != nil {
			return o, nil
		}
		// What the origin has confirmed was taken out: the next question is for all of it.
	}
	return nil, ErrNotKept
}
