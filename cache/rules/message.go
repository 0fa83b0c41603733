// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

// Request is what of a client's request the rules look at. Keys of its header are canonical, as net/http makes them.
type Request struct {
	Method string
	URL    *url.URL // the target, absolute
	Header http.Header
}

// Response is an answer of the origin, as it came or as it is kept. Its header's keys are canonical.
type Response struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	// When the question was sent and when the answer's header had come. A 304 that confirms a kept answer moves both.
	Asked    time.Time `json:"asked"`
	Answered time.Time `json:"answered"`
}

// Validator returns what tells this answer's representation from another.
func (r Response) Validator() cache.Validator {
	v := cache.Validator{ETag: r.Header.Get("Etag"), LastModified: r.Header.Get("Last-Modified")}
	if modified, ok := parseDate(v.LastModified, r.Answered); ok {
		v.StrongDate = !r.date().Before(modified.Add(time.Minute))
	}
	return v
}

// Reason says in a word why an answer is not kept or not used. It is fit for a log, for a metric's label and for the
// detail of a Cache-Status field.
type Reason string

// Why [Storable] refuses.
const (
	BadMethod      Reason = "method"          // answers to this method are not kept
	BadStatus      Reason = "status"          // not kept by default, and nothing asks for it
	NoStore        Reason = "no-store"        // the origin forbids it
	Private        Reason = "private"         // for one client's own cache only
	Authorized     Reason = "authorization"   // to a request with credentials, and not marked as for everybody
	MustUnderstand Reason = "must-understand" // a status that this cache knows nothing of
	VaryAny        Reason = "vary"            // chosen by more than the request's header
	BadRange       Reason = "content-range"   // a part, and it does not say of what, or is of several
)

// Why [Policy.Decide] does not call a kept answer fresh. RequestNoStore is a reason of [Storable], too.
const (
	Missing              Reason = "missing"                // nothing is kept for this URI, or no variant that matches
	Expired              Reason = "stale"                  // older than its freshness lifetime
	NoCache              Reason = "no-cache"               // the origin wants to be asked each time
	Operator             Reason = "operator"               // [Policy.Revalidate]
	ClockBack            Reason = "clock"                  // kept in the future, so its age is not known
	WhileRevalidate      Reason = "stale-while-revalidate" // the origin allows it
	RequestMaxStale      Reason = "request-max-stale"      // the client allows it
	RequestNoCache       Reason = "request-no-cache"
	RequestNoStore       Reason = "request-no-store"
	RequestMaxAge        Reason = "request-max-age"
	RequestMinFresh      Reason = "request-min-fresh"
	requestReasonsPrefix        = "request-"
)

// Forwarded is the reason in the words of Cache-Status' parameter fwd (RFC 9211 section 2.2).
func (r Reason) Forwarded() string {
	switch {
	case r == Missing:
		return "miss"
	case r == BadMethod:
		return "method"
	case strings.HasPrefix(string(r), requestReasonsPrefix):
		return "request"
	case r == Expired, r == NoCache, r == Operator, r == ClockBack, r == WhileRevalidate:
		return "stale"
	}
	return "bypass"
}
