// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache"
	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/ironic"
)

// wasAbsent reports whether a MAC without an answer was nobody's when Ironic last told, and how long ago that was. A machine
// waits where it is told to come back, and never asks with its next NIC, which may be the one that Ironic knows.
//
// Who was enrolled since then is told so wrongly, and boots what follows in its order, once. So it takes a failure of
// Ironic's: who is only early, or one of too many, gets an answer when it comes back. A single machine's answer, which
// nobody has looked after since, counts for less time than a list of all nodes, and only when Ironic is known to be down.
func (h *Handler) wasAbsent(key string, entry lookup.Entry[*knownNode], err error) (age time.Duration, absent bool) {
	mac, isMAC := strings.CutPrefix(key, "mac ")
	var failed *ironic.Error
	if !isMAC || entry.Value != nil || !errors.As(err, &failed) || !errors.Is(err, ironic.ErrUnavailable) ||
		errors.Is(err, errFull) || errors.Is(err, errClientRate) || failed.Reason == "closed" {
		return 0, false
	}
	longest := h.windows.localBoot
	if h.UnknownMAC == "inspect" {
		longest = min(longest, h.windows.agent) // which is what it boots
	}
	if h.roster != nil {
		if age, absent := h.roster.Absent(mac); absent && age <= longest {
			return age, true
		}
	}
	return entry.Age, entry.Negative != nil && failed.Reason == reasonDown && entry.Age <= min(longest, h.windows.agent)
}

// refuseAbsent answers such a MAC as any that no node has.
func (h *Handler) refuseAbsent(w http.ResponseWriter, r *http.Request, key string, age time.Duration) error {
	h.quiet.Warn("Ironic does not answer; a machine that was unknown when it last did is answered as one", zap.String("key", key), zap.Duration("age", age))
	w.Header().Set(reasonHeader, reasonAbsent)
	setCacheStatus(w, lookup.Entry[*knownNode]{Status: cache.Stale, TTL: h.terms.Negative - age})
	if done, err := h.unknownMAC(w, r, key, cache.Stale); done {
		return err
	}
	return h.refuse(w, r, refusal{http.StatusNotFound, reasonAbsent, "Ironic does not answer; when it last did, no node had the " + key})
}
