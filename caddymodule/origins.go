// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/origin"
)

// The times that an image's origin has to accept a connection and to begin its answer. Clients wait a little longer.
const (
	originDial   = 5 * time.Second
	originHeader = 15 * time.Second
)

func (h *Handler) resolveAllowed(c *config) error {
	var errs []error
	for _, value := range h.AllowOrigins {
		filled, err := fill("allow_origins", value)
		errs = append(errs, err)
		c.allow = append(c.allow, filled)
	}
	return errors.Join(errs...)
}

// namedOrigins are the URLs that stand in the configuration, beside allow_origins. Ironic's own is none of them: nobody's
// image is there.
func (h *Handler) namedOrigins(c *config) []string {
	named := []string{c.conductor, c.ironic.Glance}
	for _, m := range h.mirrors {
		named = append(named, m.origin)
	}
	named = slices.AppendSeq(named, maps.Values(h.imageMap))
	for host, registry := range c.registries {
		named = append(named, registryURL(host, registry))
	}
	return append(named, h.namedImages(c)...)
}

// namedImages are the URLs of the images that the configuration names. Where an image is in a registry, it is that.
func (h *Handler) namedImages(c *config) []string {
	refs := slices.Clone(h.prefetchRefs)
	for images := range maps.Values(c.options.Deploy) {
		refs = append(refs, images.Kernel, images.Ramdisk)
	}
	for images := range maps.Values(c.options.Rescue) {
		refs = append(refs, images.Kernel, images.Ramdisk)
	}
	var named []string
	for _, ref := range refs {
		location, err := h.follow(ref)
		if err != nil {
			continue
		}
		if rest, ok := strings.CutPrefix(location, "oci://"); ok {
			host, _, _ := strings.Cut(rest, "/")
			location = registryURL(host, c.registries[host])
		}
		named = append(named, location)
	}
	return named
}

func registryURL(host string, r origin.Registry) string {
	if r.Plain {
		return "http://" + host
	}
	return "https://" + host
}

// newOrigins makes the clients by which images and mirrors are fetched.
func (h *Handler) newOrigins(c *config) error {
	h.files = h.newConductorFiles(c)
	var apart []string
	if c.conductor != "" {
		apart = []string{c.conductor}
	}
	var err error
	if h.images, err = origin.New(origin.Config{UserAgent: userAgent, Loop: loopWord, Allow: c.allow, Named: h.namedOrigins(c), Apart: apart, AnyFirst: true,
		DialTimeout: originDial, TLSTimeout: originDial, HeaderTimeout: originHeader, Line: h.line(),
		RefuseHTML: true, ProxyFromEnvironment: true, Registries: c.registries}); err != nil {
		return explainOrigin(err)
	}
	h.origin = h.images.HTTPClient()
	for _, m := range h.mirrors {
		allow := append([]string{m.origin}, c.allow...)
		if m.client, err = origin.New(origin.Config{UserAgent: userAgent, Allow: allow, CAFile: m.caFile, Line: h.line(),
			ProxyFromEnvironment: true, Encoded: true}); err != nil {
			return explainOrigin(err)
		}
	}
	return nil
}

// closeOrigins closes the connections that nobody uses.
func (h *Handler) closeOrigins() {
	if h.images != nil {
		_ = h.images.Close()
	}
	for _, m := range h.mirrors {
		if m != nil && m.client != nil {
			_ = m.client.Close()
		}
	}
}

// loopWord is this process in CDN-Loop (RFC 8586). A reference that leads back here by way of a load balancer has no address
// of this machine, and each request would make another.
var loopWord = "ironic-edge-" + rand.Text()

// comesBack reports whether a request is one of our own.
func comesBack(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["Cdn-Loop"], func(line string) bool { return strings.Contains(line, loopWord) })
}

// explainOrigin turns what an origin's client says of its configuration into an error of ours.
func explainOrigin(err error) error {
	var bad *origin.ConfigError
	if !errors.As(err, &bad) {
		return err
	}
	switch bad.Field {
	case "CAFile":
		return optionError("ca_file", bad.Value, bad.Err, "give a PEM file with the certificate of the authority that the origin's comes from")
	case "Registries":
		return optionError("registry", bad.Value, bad.Err, "give the registry's host or host:port")
	case "Allow":
		return optionError("allow_origins", bad.Value, bad.Err, "give hosts or URLs such as https://images.example or *.images.example")
	}
	return fmt.Errorf("%s: %w", directive, err)
}
