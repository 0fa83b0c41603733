// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/caddymodule/seen"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// What the guard decides about a call that is answered with an agent's token. They are API: labels of a metric.
const (
	guardAllowed  = "allowed"
	guardRefused  = "refused"
	guardReported = "reported" // would be refused
	guardUnproven = "unproven" // let through, since this edge cannot know
)

// maxResolved is how many addresses of one lookup are looked up in Ironic, if none has been seen.
const maxResolved = 16

// verdict is what the guard found.
type verdict struct {
	decision string
	uuid     string     // of the node that it is about, where that is known
	mac      ipxe.MAC   // of the machine that it is about, if that has no node
	bad      *refusal   // why it would be refused
	other    netip.Addr // where the node was seen instead
}

// guard judges a lookup, and narrows it to what is proven. It returns nil if it may be relayed.
func (h *Handler) guard(r *http.Request, q *question, from netip.Addr) *refusal {
	if h.LookupGuard == "off" {
		return nil
	}
	v := verdict{decision: guardRefused}
	if askedMinor(r.Header) < tokenMinor {
		v.bad = &refusal{http.StatusNotAcceptable, reasonLookupVersion,
			"a lookup asks for API version 1.62 or newer, in the header X-OpenStack-Ironic-API-Version"}
	} else {
		var err error
		if v, err = h.judge(r.Context(), q, from); err != nil {
			return gone()
		}
	}
	if h.LookupGuard != "report" && (v.uuid != "" || v.mac != "") {
		q.askFor(v.uuid, v.mac)
	}
	return h.sentence(q, from, v)
}

// guardReport judges an inspection's report, which Ironic answers with the token too if it is asked for in a version that
// has it. The agent asks for none, and does a lookup afterwards.
func (h *Handler) guardReport(r *http.Request, route route, from netip.Addr) *refusal {
	query := r.URL.Query()
	uuids := query["node_uuid"]
	known := route.way == wayInspection && len(query) == len(uuids) && len(uuids) == 1 && isUUID(uuids[0])
	if r.URL.RawQuery != "" && (!known || r.URL.RawQuery != "node_uuid="+uuids[0]) {
		return &refusal{http.StatusBadRequest, reasonQuery, "this call has no such parameters"}
	}
	minor := askedMinor(r.Header)
	if route.way != wayInspection || h.LookupGuard == "off" || 0 <= minor && minor < inspectionMinor {
		return nil
	}
	q := question{}
	v := verdict{decision: guardRefused, bad: unseen("it names no node_uuid")}
	if known {
		q.uuid = strings.ToLower(uuids[0])
		var err error
		if v, err = h.judge(r.Context(), &q, from); err != nil {
			return gone()
		}
	}
	return h.sentence(&q, from, v)
}

// sentence counts and tells a verdict, and makes it an answer.
func (h *Handler) sentence(q *question, from netip.Addr, v verdict) *refusal {
	if v.decision == guardRefused && h.LookupGuard == "report" {
		v.decision = guardReported
	}
	h.metrics.guard(v.decision)
	if v.decision == guardAllowed {
		return nil
	}
	h.site.complaints.Do(func() {
		fields := []zap.Field{zap.String("decision", v.decision), zap.Stringer("client", from), zap.String("node", q.uuid)}
		if len(q.macs) > 0 {
			fields = append(fields, zap.String("mac", string(q.macs[0])))
		}
		if v.bad != nil {
			fields = append(fields, zap.String("reason", v.bad.reason))
		}
		if v.other.IsValid() {
			fields = append(fields, zap.Stringer("fetched_from", v.other))
		}
		h.logger.Warn("a lookup that is not proven to come from the node", fields...)
	})
	if v.decision == guardRefused {
		return v.bad
	}
	return nil
}

// judge looks for a boot that the question belongs to.
func (h *Handler) judge(ctx context.Context, q *question, from netip.Addr) (verdict, error) {
	since := time.Now().Add(-h.lookupWindow)
	s := h.sight(q, from, since)
	if !s.Known {
		node, err := h.resolveAsked(ctx, q)
		switch {
		case err != nil:
			return verdict{}, err
		case node != nil && !node.BootsByIPXE():
			// Its agent comes by virtual media or from a TFTP server, of which this edge sees nothing.
			return verdict{decision: guardUnproven, uuid: strings.ToLower(node.UUID)}, nil
		case node != nil:
			s = h.site.seen.Find(strings.ToLower(node.UUID), from, since)
		}
		if s.Here {
			return verdict{decision: guardAllowed, uuid: s.UUID}, nil
		}
		for _, mac := range q.macs {
			if q.uuid == "" && h.site.strangers.Find(string(mac), from, since).Here {
				v := verdict{decision: guardAllowed, mac: mac}
				if node != nil && node.Port.Address == string(mac) {
					v.uuid = strings.ToLower(node.UUID)
				}
				return v, nil
			}
		}
	}
	switch {
	case s.Here, s.Known && h.LookupAddress == "any":
		return verdict{decision: guardAllowed, uuid: s.UUID}, nil
	case s.Known:
		return verdict{decision: guardRefused, other: s.Other, bad: &refusal{http.StatusForbidden, reasonLookupAddress,
			"the node's script was fetched from another address; see lookup_address"}}, nil
	case time.Since(h.site.began) < h.lookupWindow:
		return verdict{decision: guardUnproven}, nil // it may have fetched its script before this edge began
	}
	return verdict{decision: guardRefused, bad: unseen("see lookup_window")}, nil
}

func unseen(hint string) *refusal {
	return &refusal{http.StatusForbidden, reasonLookupUnseen, "this edge gave no script of the agent to such a node lately; " + hint}
}

// sight is where the node was seen that a question names. An address that was fetched for from here goes before others.
func (h *Handler) sight(q *question, from netip.Addr, since time.Time) seen.Sight {
	if q.uuid != "" {
		return h.site.seen.Find(q.uuid, from, since)
	}
	var best seen.Sight
	for _, mac := range q.macs {
		s := h.site.seen.Find(string(mac), from, since)
		if s.Here {
			return s
		}
		if s.Known && !best.Known {
			best = s
		}
	}
	return best
}

// resolveAsked finds the node in Ironic: it may have fetched its script by another name. Nil: there is none.
func (h *Handler) resolveAsked(ctx context.Context, q *question) (*ipxe.Node, error) {
	var keys []string
	if q.uuid != "" {
		keys = append(keys, uuidKey(q.uuid))
	} else {
		for _, mac := range q.macs[:min(len(q.macs), maxResolved)] {
			keys = append(keys, macKey(mac))
		}
	}
	for _, key := range keys {
		entry, err := h.node(ctx, key, &h.terms)
		switch {
		case err == nil || entry.Usable:
			return entry.Value.node, nil
		case !errors.Is(err, ironic.ErrNoNode):
			return nil, err
		}
	}
	return nil, nil
}

// gone is the refusal that tells an agent to come back.
func gone() *refusal {
	return &refusal{http.StatusServiceUnavailable, reasonUnavailable, "Ironic cannot be asked at the moment"}
}

// refuseAgent answers an agent. Whatever the status, it tries again until its own time is over, and its log has the text.
func (h *Handler) refuseAgent(w http.ResponseWriter, r *http.Request, bad *refusal) error {
	return h.refuse(w, r, *bad)
}

// renew has the time of a node's boot begin anew when an image of it has been given, which may take long.
func (h *Handler) renew(r *http.Request, uuid string, start time.Time) {
	h.site.seen.Renew(strings.ToLower(uuid), clientAddress(r), start.Add(-h.lookupWindow))
}
