// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// heuristicMost bounds a lifetime that nobody gave: what did not change for years may still change tomorrow.
const heuristicMost = 24 * time.Hour

// clockSlack is how far an answer may lie in the future of a request that it serves. Who waited for a fill holds a time
// from before it.
const clockSlack = time.Minute

// Policy is what the operator wants of a cache. The zero Policy is RFC 9111 and no more.
type Policy struct {
	// MaxAge is the freshness lifetime of good answers that give none themselves; 0 or less: a tenth of their age when
	// they came, a day at most.
	MaxAge time.Duration
	// Stale is for how long after its lifetime an answer may be used while the origin gives none, or an error, unless
	// the answer says that itself (stale-if-error) or forbids it; 0 or less: not at all.
	Stale time.Duration
	// Revalidate has the origin asked each time, and the answer used only if it confirms it or gives none.
	Revalidate bool
}

// date is when the origin made the answer, or when it came if the origin does not say (RFC 9110 section 6.6.1).
func (r Response) date() time.Time {
	if date, ok := parseDate(r.Header.Get("Date"), r.Answered); ok {
		return date
	}
	return r.Answered
}

// Age is how old the answer is at that moment (RFC 9111 section 4.2.3).
func (r Response) Age(now time.Time) time.Duration {
	// Of several values the first counts, and one that is not a number is as good as none (section 5.1).
	value, _, _ := strings.Cut(r.Header.Get("Age"), ",")
	ageValue, _ := parseSeconds(strings.Trim(value, " \t"))
	delay := max(0, r.Answered.Sub(r.Asked))
	// A Date has no fractions, so the time it is compared with has none either.
	apparent := max(0, r.Answered.Truncate(time.Second).Sub(r.date()))
	resident := max(0, now.Sub(r.Answered))
	return max(apparent, ageValue+delay) + resident
}

// lifetime is for how long the answer is fresh, counted from its making (RFC 9111 section 4.2.1). A lifetime that
// cannot be read is none.
func (p Policy) lifetime(r Response) time.Duration {
	d, targeted := said(r.Header)
	for _, name := range []string{"s-maxage", "max-age"} {
		if s, given, _ := d.seconds(name); given {
			return s
		}
	}
	if expires := r.Header["Expires"]; len(expires) > 0 && !targeted {
		// One that is not a date, above all "0", is in the past (section 5.3).
		if at, ok := parseDate(expires[0], r.Answered); ok {
			return max(0, at.Sub(r.date()))
		}
		return 0
	}
	if !slices.Contains(heuristic, r.Status) && !d.has("public") {
		return 0
	}
	// An operator who knows for how long images stay the same does not mean that a 404 does.
	if p.MaxAge > 0 && r.Status < http.StatusBadRequest {
		return p.MaxAge
	}
	// A tenth of the time since the last change (section 4.2.2).
	if modified, ok := parseDate(r.Header.Get("Last-Modified"), r.Answered); ok {
		return min(heuristicMost, max(0, r.date().Sub(modified)/10))
	}
	return 0
}

// Verdict is what a kept answer is good for.
type Verdict uint8

// The verdicts.
const (
	Fresh         Verdict = iota // to be used
	Stale                        // to be used, though it is stale; to be revalidated behind the client's back
	Revalidate                   // to be used if the origin confirms it
	Unusable                     // not for this request; there may be none at all
	Unsatisfiable                // what may be used is not enough, and the client takes no other answer: 504
)

func (v Verdict) String() string {
	return [...]string{"fresh", "stale", "revalidate", "unusable", "unsatisfiable"}[v]
}

// Decision is a verdict and what led to it.
type Decision struct {
	Verdict Verdict
	Reason  Reason        // why it is not Fresh
	TTL     time.Duration // for how much longer the answer is fresh; negative: since when it is not
	Age     time.Duration
	// IfError says that the answer may be used if the origin gives none, or one whose status is of [Failed]. Without it
	// a client gets that status, or a 504 if there is none (RFC 9111 section 5.2.2.2).
	IfError bool
}

// Failed reports whether an origin that answers with the status counts as one that does not answer (RFC 5861 section 4,
// RFC 9111 section 4.3.3).
func Failed(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Decide judges whether a kept answer may be used for a request with that header (RFC 9111 section 4). Stored is the
// answer that [Choose] chose, nil if there is none.
func (p Policy) Decide(request http.Header, stored *Response, now time.Time) Decision {
	ask := parseDirectives(request["Cache-Control"])
	// Pragma counts only where Cache-Control is missing (section 5.4).
	if len(request["Cache-Control"]) == 0 && parseDirectives(request["Pragma"]).has("no-cache") {
		ask = directives{{name: "no-cache"}}
	}
	d := Decision{Verdict: Unusable, Reason: Missing}
	if stored != nil {
		d = p.judge(ask, *stored, now)
	}
	if ask.has("only-if-cached") && d.Verdict >= Revalidate {
		d.Verdict, d.IfError = Unsatisfiable, false // section 5.2.1.7
	}
	return d
}

func (p Policy) judge(ask directives, stored Response, now time.Time) Decision {
	age := stored.Age(now)
	d := Decision{Verdict: Revalidate, TTL: p.lifetime(stored) - age, Age: age}
	say, _ := said(stored.Header)
	_, noCache := say.fields("no-cache")
	// An s-maxage is a proxy-revalidate, too (section 5.2.2.10).
	strict := say.has("must-revalidate") || say.has("proxy-revalidate") || say.has("s-maxage")
	d.IfError = d.TTL > 0 || !strict && -d.TTL <= p.errorWindow(ask, say)

	if d.Reason = refused(ask, d); d.Reason != "" {
		d.IfError = false // the client would rather have none
		if d.Reason == RequestNoStore {
			d.Verdict = Unusable
		}
		return d
	}
	switch {
	case noCache:
		d.Reason, d.IfError = NoCache, false
	case now.Before(stored.Answered.Add(-clockSlack)):
		d.Reason, d.IfError = ClockBack, !strict && p.Stale > 0
	case p.Revalidate:
		d.Reason = Operator
	case d.TTL > 0:
		d.Verdict = Fresh
	case strict:
		d.Reason = Expired
	case within(say, "stale-while-revalidate", -d.TTL):
		d.Verdict, d.Reason = Stale, WhileRevalidate
	case accepts(ask, -d.TTL):
		d.Verdict, d.Reason = Stale, RequestMaxStale
	default:
		d.Reason = Expired
	}
	return d
}

// refused returns which of the client's directives the answer does not meet (RFC 9111 section 5.2.1).
func refused(ask directives, d Decision) Reason {
	if ask.has("no-store") {
		// It would forbid only to keep what comes. But who asks for it wants nothing to do with a store.
		return RequestNoStore
	}
	if ask.has("no-cache") {
		return RequestNoCache
	}
	if most, _, valid := ask.seconds("max-age"); valid && d.Age > most {
		return RequestMaxAge
	}
	if least, _, valid := ask.seconds("min-fresh"); valid && d.TTL < least {
		return RequestMinFresh
	}
	return ""
}

// errorWindow is for how long after its lifetime an answer may stand in for an origin that fails. The origin's own word
// is the limit where there is one; the client may ask for more (RFC 5861 section 4).
func (p Policy) errorWindow(ask, say directives) time.Duration {
	window := p.Stale
	if s, _, valid := say.seconds("stale-if-error"); valid {
		window = s
	}
	if s, _, valid := ask.seconds("stale-if-error"); valid {
		window = max(window, s)
	}
	if window <= 0 {
		return -1 // not even at the moment of expiry
	}
	return window
}

// within reports whether the directive allows use for that long after the lifetime.
func within(say directives, name string, stale time.Duration) bool {
	s, _, valid := say.seconds(name)
	return valid && stale <= s
}

// accepts reports whether the client takes answers that are so stale: a max-stale without an argument takes all
// (RFC 9111 section 5.2.1.2).
func accepts(ask directives, stale time.Duration) bool {
	for _, one := range ask {
		if one.name == "max-stale" && !one.valued && !one.bad {
			return true
		}
	}
	return within(ask, "max-stale", stale)
}
