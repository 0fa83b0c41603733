// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/ipxe"
)

// serveImage gives out an image of a node: from the store, if there is one, else from where the node's reference leads.
func (h *Handler) serveImage(w http.ResponseWriter, r *http.Request, route route) error {
	if comesBack(r) {
		return h.refuse(w, r, refusal{http.StatusBadGateway, reasonAddress, "the image's reference leads back to this edge"})
	}
	if location, ok := h.site.middles.of(r, route); ok {
		err := h.serveImageAt(w, r, route, location)
		if w.Header().Get(reasonHeader) != "" { // refused; perhaps Ironic knows better by now
			h.site.middles.end(r, route)
		}
		return err
	}
	node := &ipxe.Node{UUID: ipxe.UnknownUUID}
	if route.subject != ipxe.UnknownUUID {
		key := uuidKey(route.subject)
		entry, err := h.node(r.Context(), key, &h.imageTerms)
		setCacheStatus(w, entry)
		// Whoever is in the middle of an image goes on while Ironic is gone: bytes are no decision.
		if err != nil && !(entry.Status == cache.Stale && outage(err) && entry.Age <= h.windows.longest()) {
			return h.refuseLookup(w, r, key, entry.Status, err)
		}
		node = entry.Value.node
		defer h.renew(r, route.subject, time.Now())
	}
	location, err := h.imageURL(node, route.label)
	if err != nil {
		var refused *ipxe.Refused
		if errors.As(err, &refused) {
			return h.refuse(w, r, refusal{http.StatusNotFound, string(refused.Reason), refused.Text})
		}
		return h.refuseReference(w, r, route, err)
	}
	h.site.middles.begin(r, route, location)
	return h.serveImageAt(w, r, route, location)
}

// serveImageAt gives out the image at a location, as imageURL returned it.
func (h *Handler) serveImageAt(w http.ResponseWriter, r *http.Request, route route, location string) error {
	check := h.files.check(route.subject, route.label)
	if h.storage == nil || route.label == ipxe.Kickstart { // a kickstart file holds the agent's token
		return h.stream(w, r, location, route.label, check)
	}
	target, err := h.imageTarget(location, check)
	if err != nil {
		return h.refuseReference(w, r, route, err)
	}
	if h.conductor != "" && strings.HasPrefix(location, h.conductor+"/") { // which links one file under the name of each node
		target.Kin = h.conductor + " " + route.label
	}
	return h.serveTarget(w, r, target, route.label)
}

// imageURL is where the image behind a node's label can be had. Where the reference itself leads nowhere, the
// conductor's copy does.
func (h *Handler) imageURL(node *ipxe.Node, label string) (string, error) {
	fromConductor := h.conductor + "/" + strings.ToLower(node.UUID) + "/" + label
	if label == ipxe.Kickstart {
		if h.conductor == "" {
			return "", &ipxe.Refused{Reason: ipxe.ReasonSecret,
				Text: "the kickstart file holds the agent's token, and only the conductor has it; give conductor_http."}
		}
		return fromConductor, nil
	}
	ref, err := ipxe.ImageRef(node, &h.options, label)
	switch {
	case err != nil:
		return "", err
	case ref == ipxe.FromConductor:
		return fromConductor, nil
	}
	url, err := h.follow(ref)
	if err != nil && h.conductor != "" {
		return fromConductor, nil
	}
	return url, err
}

// unfollowed is why a reference cannot be followed.
type unfollowed struct {
	problem, remedy string
	conductor       bool // conductor_http is a remedy, too, for images of nodes
}

func (e *unfollowed) Error() string {
	text := e.problem + "; " + e.remedy
	if e.conductor {
		text += " or conductor_http"
	}
	return text
}

// ofNoNode is an error of follow about an image that is no node's, and so not the conductor's either.
func ofNoNode(err error) error {
	if e := (*unfollowed)(nil); errors.As(err, &e) {
		return &unfollowed{e.problem, e.remedy, false}
	}
	return err
}

// follow turns an image reference into one that this edge can get by itself: a URL, and with a store glance://<id> or
// oci://<host>/<name>@<digest>.
func (h *Handler) follow(ref string) (string, error) {
	longest := ""
	for prefix := range h.imageMap {
		if strings.HasPrefix(ref, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if longest != "" {
		ref = h.imageMap[longest] + ref[len(longest):]
	}
	if id, ok := inGlance(ref); ok {
		switch {
		case !isUUID(id):
			return "", errors.New("names no id of Glance's, a UUID")
		case h.Store == nil:
			return "", &unfollowed{"is in Glance, which takes a store", "give store", true}
		case h.Ironic.Auth != "cloud" && h.Ironic.Glance == "":
			return "", &unfollowed{"is in Glance, of which nothing is known", "log in with auth cloud, or give glance", true}
		}
		return "glance://" + strings.ToLower(id), nil
	}
	scheme, rest, _ := strings.Cut(ref, "://")
	switch {
	case (scheme == "http" || scheme == "https") && rest != "":
		if _, err := ipxe.ParseToken(ref); err != nil {
			return "", fmt.Errorf("%w", err)
		}
		return ref, nil
	case scheme == "file":
		return "", errors.New("is a file of the conductor; map its prefix with image_map")
	case scheme == "oci" && h.Store == nil:
		return "", &unfollowed{"is in an OCI registry, which takes a store", "give store", true}
	case scheme == "oci" && !strings.Contains(rest, "@sha"):
		return "", errors.New("is in an OCI registry, under a name that can come to mean something else; add its digest, as @sha256:<digest>")
	case scheme == "oci":
		return ref, nil
	}
	return "", errors.New("is no http or https URL; map its prefix with image_map")
}
