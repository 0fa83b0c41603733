// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/cache/rules"
	"github.com/ironic-edge/ironic-edge/cache/shared"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// imageMaxAge is how long an image is used without asking its origin, if the origin does not say: long enough that a rack
// that starts together asks once, short enough that a new agent image is seen by the next deployment.
const imageMaxAge = time.Minute

var imagePolicy = rules.Policy{MaxAge: imageMaxAge, Stale: defaultStale}

// imageTarget is what an image reference leads to, as follow returned it. Its key is the reference, without what differs
// for one content: nodes with one reference have one object. check says where it may lead, as conductorFiles.check does.
func (h *Handler) imageTarget(ref string, check func(*url.URL) error) (*shared.Target, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return nil, errors.New("is no URL")
	}
	target := &shared.Target{URL: u, Private: true, Policy: imagePolicy}
	switch u.Scheme {
	case "glance":
		target.Key, target.Upstream = "glance "+u.Host, &glanceImage{h.site, h.images, u.Host}
		return target, nil
	case "oci":
		blob, err := h.images.OCI(ref)
		if err != nil {
			return nil, err
		}
		target.Key, target.Upstream = blob.String(), blob
		return target, nil
	}
	source, err := h.images.Source(ref, nil)
	if err != nil {
		return nil, err
	}
	if err := source.Bound(check); err != nil {
		return nil, err
	}
	public := *u
	public.User = nil
	key := public.String()
	target.Upstream = source
	if signed, expires, ok := origin.Signed(ref); ok {
		key = signed
		target.Upstream = &signedImage{Upstream: source, source: source, url: ref, expires: expires, permits: &h.storage.permits}
	}
	target.Key = "image " + origin.Key(key)
	return target, nil
}

// mayRead checks a client's right to read a target that is reached by a signature: what is in the store must not be had by
// a signature that its origin does not take any more. Nil: it has the right, or the origin cannot be asked and the
// signature has not run out.
func mayRead(ctx context.Context, target *shared.Target) error {
	image, ok := target.Upstream.(*signedImage)
	if !ok {
		return nil
	}
	return image.permits.check(ctx, image)
}

// signedImage is an image behind a signed URL. It cannot be asked for a HEAD: the signature may be for GET only.
type signedImage struct {
	shared.Upstream
	source  *origin.Source
	url     string
	expires time.Time // zero: never, or not known
	client  bool      // the signature is a client's, which may have made it up, and not Ironic's
	permits *permits
}

// permits remembers which signatures were good, and until when that is believed.
type permits struct {
	mu    sync.Mutex
	until map[string]time.Time
}

const (
	permitTime = time.Minute
	maxPermits = 4096
)

var errExpired = &cache.OriginError{Status: http.StatusForbidden, Reason: "a signature that has run out"}

func (p *permits) check(ctx context.Context, image *signedImage) error {
	now := time.Now()
	if !image.expires.IsZero() && now.After(image.expires) {
		return errExpired
	}
	p.mu.Lock()
	until, once := p.until[image.url]
	p.mu.Unlock()
	if now.Before(until) {
		return nil
	}
	err := image.source.MayRead(ctx)
	var refused *cache.OriginError
	switch broken := err != nil && (!errors.As(err, &refused) || refused.Temporary); {
	case broken && (once || !image.client):
		return nil // the signature is good until it runs out
	case broken:
		return err
	case err != nil:
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.until, image.url)
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.until) >= maxPermits || p.until == nil {
		p.until = make(map[string]time.Time)
	}
	p.until[image.url] = now.Add(permitTime)
	return nil
}

// glanceImage is an image in Glance. Its fill may outlive the configuration under which it began, so the client to ask by
// is the site's current one.
type glanceImage struct {
	site   *site
	images *origin.Client
	id     string
}

// Open asks for bytes.
func (g *glanceImage) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	return g.with(ctx, func(from origin.Upstream) (*cache.Part, error) { return from.Open(ctx, ask) })
}

// Fetch passes on a question. A client's own credentials are not for Glance.
func (g *glanceImage) Fetch(ctx context.Context, header http.Header, ask cache.Ask) (*cache.Part, error) {
	header = header.Clone()
	header.Del("Authorization")
	header.Del("X-Auth-Token")
	return g.with(ctx, func(from origin.Upstream) (*cache.Part, error) { return from.Fetch(ctx, header, ask) })
}

// with puts a question to Glance, and again with a new token if the one that is known is not taken any more.
func (g *glanceImage) with(ctx context.Context, ask func(origin.Upstream) (*cache.Part, error)) (*cache.Part, error) {
	for again := true; ; again = false {
		from, err := g.source(ctx)
		if err != nil {
			return nil, err
		}
		part, err := ask(from)
		var refused *cache.OriginError
		unauthorized := errors.As(err, &refused) && refused.Status == http.StatusUnauthorized ||
			err == nil && part.Status == http.StatusUnauthorized
		if !unauthorized || !again {
			return part, err
		}
		if err == nil {
			_ = part.Body.Close()
		}
		g.site.forgetImage(g.id)
	}
}

// source is where Glance has the image's bytes, and what they must hash to.
func (g *glanceImage) source(ctx context.Context) (origin.Upstream, error) {
	image, err := g.site.image(ctx, g.id)
	if err != nil {
		return nil, glanceError(err)
	}
	source, err := g.images.Named(image.URL, http.Header(image.Header)) // Glance is the cloud's, wherever it is
	if err != nil {
		return nil, err
	}
	digest, err := cache.ParseDigest(image.Algorithm, image.Digest)
	if err != nil {
		return source, nil // Glance has none for it
	}
	return origin.Known{From: source, Content: origin.Content{Digest: digest, Size: image.Size}}, nil
}

// glanceError is what Glance's refusal means to who fills a store.
func glanceError(err error) error {
	var e *ironic.Error
	switch {
	case errors.Is(err, ironic.ErrNoImage):
		return &cache.OriginError{Status: http.StatusNotFound, Reason: "no image of that id that could be read"}
	case errors.Is(err, ironic.ErrBadAnswer):
		return &cache.OriginError{Status: http.StatusBadGateway, Reason: "what Glance does not say"}
	case errors.As(err, &e):
		return &cache.OriginError{Status: http.StatusServiceUnavailable, Reason: "Glance: " + e.Reason, Temporary: true}
	}
	return err
}

// knownImages remembers what Glance said of images, for as long as a token is surely good.
type knownImages struct {
	mu     sync.Mutex
	images map[string]knownImage
}

type knownImage struct {
	ironic.Image
	until time.Time
}

const (
	knownImageTime = 30 * time.Second
	maxKnownImages = 1024
)

// image asks Glance about an image, unless it has just said.
func (s *site) image(ctx context.Context, id string) (ironic.Image, error) {
	now := time.Now()
	s.glance.mu.Lock()
	known, ok := s.glance.images[id]
	s.glance.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.Image, nil
	}
	client := s.client.Load()
	if client == nil {
		return ironic.Image{}, &ironic.Error{Kind: ironic.ErrUnavailable, Op: "find image " + id, Reason: "starting"}
	}
	image, err := client.Image(ctx, id)
	if err != nil {
		return image, err
	}
	s.glance.mu.Lock()
	defer s.glance.mu.Unlock()
	if len(s.glance.images) >= maxKnownImages || s.glance.images == nil {
		s.glance.images = make(map[string]knownImage)
	}
	s.glance.images[id] = knownImage{image, now.Add(knownImageTime)}
	return image, nil
}

func (s *site) forgetImage(id string) {
	s.glance.mu.Lock()
	defer s.glance.mu.Unlock()
	delete(s.glance.images, id)
}

// inGlance returns the id of an image in Glance that a reference names.
func inGlance(ref string) (id string, ok bool) {
	id, found := strings.CutPrefix(ref, "glance://")
	return strings.TrimPrefix(id, "/"), found || isUUID(ref)
}
