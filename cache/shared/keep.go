// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/disk"
	"github.com/ironic-edge/ironic-edge/cache/rules"
)

// keep puts an answer into the store if it may be kept and fits, and hands it on otherwise. The end of the answer's body
// is that of its question's context.
func (c *Cache) keep(end func(), t *Target, request rules.Request, part *cache.Part) result {
	part.Body = &ownedBody{part.Body, end}
	if err := t.refused(part); err != nil {
		_ = part.Body.Close()
		return result{err: err, owned: true}
	}
	asked := request
	asked.Method = http.MethodGet
	response := whole(part)
	k := newKept(t, request, response.Stored())
	if ok, reason := rules.Storable(asked, response); !ok || reason != "" || part.Status >= http.StatusInternalServerError && rules.Failed(part.Status) && !explicitlyKept(response) {
		c.drop(t, request, part)
		return result{part: part, owned: true}
	}
	info, err := json.Marshal(k.Variant)
	if err != nil {
		return result{part: part, owned: true}
	}
	digest := t.digest(part)
	identity := t.identity(part, digest)
	for {
		if o := c.store.Find(identity); o != nil { // the same bytes under another name
			defer o.Release()
			_ = part.Body.Close()
			c.store.SetKey(k.key, info, o)
			c.remember(t.Key, k)
			return result{key: k.key, came: &response, owned: true}
		}
		o, err := c.store.Create(disk.New{Key: k.key, Info: info, Identity: identity, Digest: digest, Origin: t.Upstream, Part: part})
		if errors.Is(err, disk.ErrExists) {
			continue // another name was faster
		}
		if err != nil {
			return result{part: part, owned: true}
		}
		o.Release()
		c.remember(t.Key, k)
		return result{key: k.key, came: &response, owned: true}
	}
}

// refused is the error for an answer that has no image in it, nil if it has, or if clients are to see any answer.
func (t *Target) refused(part *cache.Part) error {
	if !t.Private || part.Status == http.StatusOK || part.Status == http.StatusPartialContent {
		return nil
	}
	return &cache.OriginError{Status: refusedStatus(part.Status), Reason: "status " + strconv.Itoa(part.Status),
		Temporary: part.Status >= http.StatusInternalServerError || part.Status == http.StatusTooManyRequests}
}

// refusedStatus is what the client of an image sees of its origin's refusal: what is not there is not there, and anything
// else of the origin's own making is a bad gateway.
func refusedStatus(status int) int {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return http.StatusNotFound
	case http.StatusForbidden, http.StatusUnauthorized:
		return http.StatusForbidden
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// newKept is what is to be kept of the answer to a request.
func newKept(t *Target, request rules.Request, stored rules.Response) kept {
	vary, _ := rules.Vary(stored.Header)
	k := kept{key: t.Key, Variant: rules.Variant{Response: stored, Selecting: rules.Selecting(vary, request.Header)}}
	if len(vary) > 0 {
		k.key += separator + rules.VariantKey(vary, request.Header)
	}
	return k
}

// explicitlyKept reports whether the origin itself gave an error a lifetime.
func explicitlyKept(r rules.Response) bool {
	return rules.Policy{}.Decide(http.Header{}, &r, r.Answered).Verdict == rules.Fresh
}

// drop removes what an answer that is not kept has made wrong: the older one that it takes the place of.
func (c *Cache) drop(t *Target, request rules.Request, part *cache.Part) {
	if part.Status >= http.StatusInternalServerError {
		return // that one may stand in for it
	}
	all, variants := c.variants(t.Key)
	if i := rules.Choose(variants, request.Header); i >= 0 {
		c.forget(t.Key, all[i].key)
		c.store.RemoveKey(all[i].key)
	}
}

// whole is the answer that a part is the beginning, or a piece, of.
func whole(part *cache.Part) rules.Response {
	r := rules.Response{Status: part.Status, Header: part.Header.Clone(), Asked: part.Asked, Answered: part.Answered}
	if part.Status == http.StatusPartialContent {
		r.Status = http.StatusOK
		r.Header.Del("Content-Range")
		r.Header.Del("Content-Length")
	}
	if part.Size >= 0 {
		r.Header.Set("Content-Length", strconv.FormatInt(part.Size, 10))
	}
	return r
}

// digest is what the bytes that an answer is of must hash to, nil if that is not known.
func (t *Target) digest(part *cache.Part) *cache.Digest {
	if t.Digest != nil {
		return t.Digest
	}
	return part.Digest
}

// identity names the bytes that an answer is of: by their digest, or by the target or its kin, a strong entity tag and the
// length. Empty: equal answers need not be of equal bytes.
func (t *Target) identity(part *cache.Part, digest *cache.Digest) string {
	if part.Status != http.StatusOK && part.Status != http.StatusPartialContent {
		return ""
	}
	if digest != nil {
		return digest.String()
	}
	if tag := part.Validator.ETag; tag != "" && part.Validator.Strong() && part.Size >= 0 {
		return fmt.Sprintf("%s %s %d", cmp.Or(t.Kin, t.Key), tag, part.Size)
	}
	return ""
}
