// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Blob is what a reference oci://host[:port]/name@digest leads to in an OCI registry (the OCI Distribution
// Specification). The digest may be that of the bytes, or that of a manifest with one layer, whose bytes are meant then;
// Ironic's own references are of the second kind (ironic/common/oci_registry.py: OciClient.download_blob_from_manifest). It
// is safe for concurrent use.
type Blob struct {
	client *Client
	repo   repository
	digest cache.Digest
}

var _ Upstream = (*Blob)(nil)

// What a reference may be made of: the specification's "Pulling manifests".
var (
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// Why a reference leads to no blob.
var (
	errNotOCI   = errors.New("the reference is not oci://host/name@sha256: and a digest")
	errUnpinned = errors.New("the reference names no digest, and what a tag means can change from one boot to the next: " +
		"pin it, as oci://host/name@sha256: and the digest of its manifest")
	errOCIUser = errors.New("the reference holds a user, which belongs to the registry's configuration")
	errOCIName = errors.New("the reference has a name that no repository can have")
)

// OCI returns the blob behind a reference. A tag may stand before the digest, and means nothing then. The registry is
// asked by https, or http if Config.Registries says so; one that may not be asked is a *NotAllowedError or an
// *AddressError.
func (c *Client) OCI(ref string) (*Blob, error) {
	rest, ok := strings.CutPrefix(ref, "oci://")
	if !ok {
		return nil, errNotOCI
	}
	host, rest, ok := strings.Cut(rest, "/")
	switch {
	case strings.Contains(host, "@"):
		return nil, errOCIUser
	case !ok || host == "" || rest == "":
		return nil, errNotOCI
	}
	name, digest, pinned := strings.Cut(rest, "@")
	name, tag, tagged := strings.Cut(name, ":")
	if !repositoryName.MatchString(name) || tagged && !tagName.MatchString(tag) {
		return nil, errOCIName
	}
	if !pinned {
		return nil, errUnpinned
	}
	b := &Blob{client: c, repo: repository{name: name}}
	var err error
	if b.digest, err = parseOCIDigest(digest); err != nil {
		return nil, fmt.Errorf("the reference's digest %w", err)
	}
	// The host goes into a URL; what addressOf takes is a name or an address, and a port.
	u, err := url.Parse("https://" + host)
	if err != nil || u.Host != host {
		return nil, errNotOCI
	}
	if b.repo.at, err = c.registries.at(host); err != nil {
		return nil, fmt.Errorf("the reference %w", err)
	}
	if err := c.checkFirst(b.repo.at); err != nil {
		return nil, err
	}
	return b, nil
}

// parseOCIDigest reads a digest of one of the two algorithms that the Image Specification registers.
func parseOCIDigest(s string) (cache.Digest, error) {
	algorithm, sum, _ := strings.Cut(s, ":")
	if algorithm != "sha256" && algorithm != "sha512" {
		return cache.Digest{}, errors.New("is neither sha256: nor sha512: and a number")
	}
	d, err := cache.ParseDigest(algorithm, sum)
	if err != nil {
		return cache.Digest{}, fmt.Errorf("cannot be used: %w", err)
	}
	return d, nil
}

// String is the reference without a tag.
func (b *Blob) String() string {
	return "oci://" + b.repo.at.hostPort() + "/" + b.repo.name + "@" + b.digest.String()
}

// Content returns which bytes are meant. The registry is asked once, as that never changes; many who ask at once share
// the answer. Until the first bytes of a reference that is no manifest's have come, it is asked every time.
func (b *Blob) Content(ctx context.Context) (Content, error) {
	key := blobKey{b.repo, b.digest.String()}
	r := b.client.registries
	r.mu.Lock()
	known, ok := r.contents[key]
	r.mu.Unlock()
	if ok {
		return known, nil
	}
	content, _, err := r.resolved.Do(ctx, key, b.resolve)
	return content, err
}

// remember keeps what a reference means.
func (b *Blob) remember(content Content) {
	r := b.client.registries
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.contents) >= maxKept {
		clear(r.contents)
	}
	r.contents[blobKey{b.repo, b.digest.String()}] = content
}

const (
	// maxManifest is what the specification wants registries to take at least, and most take no more.
	maxManifest = 4 << 20
	// Indexes are accepted, too: a registry that may not send one would say that there is none.
	manifestTypes = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, " +
		"application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
)

// resolve asks for the manifest with the reference's digest. If there is none, the digest is taken for that of the bytes.
func (b *Blob) resolve(ctx context.Context) (Content, error) {
	a, err := b.manifest(ctx)
	if err != nil {
		return Content{}, err
	}
	switch {
	case a.StatusCode == http.StatusNotFound:
		a.body.Close()
		return Content{b.digest, -1}, nil
	case a.StatusCode >= 500:
		refused := refusal(a)
		if content, err := b.sniff(ctx); err == nil {
			return content, nil
		}
		return Content{}, refused
	case a.StatusCode >= 400:
		return Content{}, refusal(a)
	case a.StatusCode != http.StatusOK:
		a.body.Close()
		return Content{}, unusable("status %d for a manifest", a.StatusCode)
	}
	defer a.body.Close()
	text, err := io.ReadAll(io.LimitReader(a.body, maxManifest+1))
	if err != nil {
		return Content{}, fmt.Errorf("read the manifest of %s: %w", b, err)
	}
	if len(text) > maxManifest {
		return Content{}, unusable("a manifest that is too large")
	}
	content, err := b.layer(text)
	if err != nil {
		return Content{}, err
	}
	b.remember(content)
	return content, nil
}

// sniff looks at the bytes with the reference's digest, where the registry has failed to show a manifest. The Distribution
// registry does that for anything else with that digest, which it tries to parse as one (status 500 of 2.8), and keeps
// manifests among the blobs, so that a blob that could be a manifest must be looked at.
func (b *Blob) sniff(ctx context.Context) (Content, error) {
	g, err := b.client.grant(ctx, b.repo)
	if err != nil {
		return Content{}, err
	}
	p, err := b.source("blobs", b.digest, g).Open(ctx, cache.Ask{Length: maxManifest})
	if err != nil {
		return Content{}, err
	}
	defer p.Body.Close()
	content := Content{b.digest, p.Size}
	if p.Size <= maxManifest {
		text, err := io.ReadAll(io.LimitReader(p.Body, maxManifest))
		if err != nil {
			return Content{}, err
		}
		var m struct{ SchemaVersion int }
		if json.Unmarshal(text, &m) == nil && m.SchemaVersion != 0 {
			if content, err = b.layer(text); err != nil {
				return Content{}, err
			}
		}
	}
	b.remember(content)
	return content, nil
}

// layer returns the only layer of a manifest.
func (b *Blob) layer(text []byte) (Content, error) {
	h := b.digest.New()
	h.Write(text)
	if !bytes.Equal(h.Sum(nil), b.digest.Sum) {
		return Content{}, unusable("a manifest with another digest")
	}
	var m struct {
		Layers []struct {
			Digest string
			Size   int64
		}
		Manifests []json.RawMessage
	}
	switch err := json.Unmarshal(text, &m); {
	case err != nil:
		return Content{}, unusable("a manifest that cannot be read")
	case m.Manifests != nil:
		return Content{}, unusable("an index, which names images for several machines: pin the manifest of one of them")
	case len(m.Layers) != 1:
		return Content{}, unusable("a manifest with %d layers: an image to boot has one", len(m.Layers))
	}
	digest, err := parseOCIDigest(m.Layers[0].Digest)
	if err != nil || m.Layers[0].Size < 0 {
		return Content{}, unusable("a manifest whose layer has no digest or length")
	}
	return Content{digest, m.Layers[0].Size}, nil
}

// manifest asks for the manifest, with what the registry wants for it.
func (b *Blob) manifest(ctx context.Context) (*answer, error) {
	g, err := b.client.grant(ctx, b.repo)
	if err != nil {
		return nil, err
	}
	for again := true; ; again = false {
		s := b.source("manifests", b.digest, g)
		s.header.Set("Accept", manifestTypes)
		a, err := s.ask(ctx, http.MethodGet, http.Header{}, nil)
		if err != nil {
			return nil, err
		}
		by, ok := b.challenge(a)
		if !ok || !again {
			return a, nil
		}
		a.body.Close()
		if g, err = b.client.newGrant(ctx, b.repo, by, g); err != nil {
			return nil, err
		}
	}
}

// source is something of the repository's, with a grant unless that is nil.
func (b *Blob) source(kind string, digest cache.Digest, g *grant) *Source {
	u := &url.URL{Scheme: b.repo.at.scheme, Host: b.repo.at.hostPort(), Path: "/v2/" + b.repo.name + "/" + kind + "/" + digest.String()}
	s := &Source{client: b.client, url: u, address: b.repo.at, header: http.Header{}}
	if g != nil {
		s.header.Set("Authorization", g.authorization)
	}
	return s
}

// challenge returns what the registry wants to know, if an answer says that. Where the registry redirects to may not ask:
// the credentials are for the registry.
func (b *Blob) challenge(a *answer) (challenge, bool) {
	at := a.Request.URL
	if a.StatusCode != http.StatusUnauthorized || at.Scheme != b.repo.at.scheme || at.Host != b.repo.at.hostPort() {
		return challenge{}, false
	}
	return b.client.challengeFor(b.repo, a.Header)
}

// Open asks for bytes, as Known.Open does.
func (b *Blob) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	return b.do(ctx, func(k Known) (*cache.Part, error) { return k.Open(ctx, ask) })
}

// Fetch passes on a question, as Known.Fetch does, but for the client's credentials, which are not the registry's.
func (b *Blob) Fetch(ctx context.Context, header http.Header, ask cache.Ask) (*cache.Part, error) {
	header = header.Clone()
	header.Del("Authorization")
	return b.do(ctx, func(k Known) (*cache.Part, error) { return k.Fetch(ctx, header, ask) })
}

// do asks the source of the bytes, and once more if the registry wants another authorization than the one it had.
func (b *Blob) do(ctx context.Context, ask func(Known) (*cache.Part, error)) (*cache.Part, error) {
	content, err := b.Content(ctx)
	if err != nil {
		return nil, err
	}
	g, err := b.client.grant(ctx, b.repo)
	if err != nil {
		return nil, err
	}
	p, err := ask(Known{b.source("blobs", content.Digest, g), content})
	if unauthorized(p, err) {
		next, failed := b.regrant(ctx, content, g)
		if failed != nil || next != nil {
			if p != nil {
				p.Body.Close()
			}
			if failed != nil {
				return nil, failed
			}
			p, err = ask(Known{b.source("blobs", content.Digest, next), content})
		}
	}
	if err == nil && p.Digest != nil {
		b.remember(content) // bytes have come, so it is what it was taken for
	}
	return p, err
}

func unauthorized(p *cache.Part, err error) bool {
	var refused *cache.OriginError
	if errors.As(err, &refused) {
		return refused.Status == http.StatusUnauthorized
	}
	return p != nil && p.Status == http.StatusUnauthorized
}

// regrant finds out what the registry wants for the bytes, and gets it. It is nil if that is not known or was refused.
func (b *Blob) regrant(ctx context.Context, content Content, refused *grant) (*grant, error) {
	header := http.Header{}
	setRange(header, cache.Ask{Length: 1})
	// With what was refused: else it would be the registry that refuses, even if it was where it redirects to.
	a, err := b.source("blobs", content.Digest, refused).ask(ctx, http.MethodGet, header, nil)
	if err != nil {
		return nil, err
	}
	a.body.Close()
	by, ok := b.challenge(a)
	if !ok {
		return nil, nil
	}
	g, err := b.client.newGrant(ctx, b.repo, by, refused)
	if err != nil || refused != nil && g.authorization == refused.authorization {
		return nil, err
	}
	return g, nil
}
