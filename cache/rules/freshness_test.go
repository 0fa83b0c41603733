// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"
)

// noon is when answers come in these tests, an hour or so around it included.
var noon = time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC)

// at is the HTTP-date so long after noon.
func at(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }

func equal(a, b http.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

func TestAge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header          http.Header
		delay, resident time.Duration
		want            time.Duration
	}{
		"4.2.3 nothing said":           {nil, 0, 5 * time.Second, 5 * time.Second},
		"4.2.3 the Date":               {header("Date: " + at(-time.Minute)), 0, 5 * time.Second, 65 * time.Second},
		"4.2.3 a Date to come":         {header("Date: " + at(time.Minute)), 0, 5 * time.Second, 5 * time.Second},
		"4.2.3 a Date that is none":    {header("Date: foo"), 0, 5 * time.Second, 5 * time.Second},
		"4.2.3 Age":                    {header("Age: 30"), 0, 5 * time.Second, 35 * time.Second},
		"4.2.3 Age and a delay":        {header("Age: 30"), 2 * time.Second, 5 * time.Second, 37 * time.Second},
		"4.2.3 a delay":                {nil, 2 * time.Second, 0, 2 * time.Second},
		"4.2.3 the greater of both":    {header("Age: 30", "Date: "+at(-time.Minute)), 2 * time.Second, 5 * time.Second, 65 * time.Second},
		"4.2.3 a clock that went back": {header("Age: 30"), 0, -time.Hour, 30 * time.Second},
		"5.1 the first of several":     {header("Age: 30, 0"), 0, 0, 30 * time.Second},
		"5.1 the first of two lines":   {header("Age: 0", "Age: 30"), 0, 0, 0},
		"5.1 not a number":             {header("Age: abc"), 0, 0, 0},
		"5.1 negative":                 {header("Age: -30"), 0, 0, 0},
		"5.1 a fraction":               {header("Age: 30.0"), 0, 0, 0},
		"5.1 a parameter":              {header("Age: 30;a=b"), 0, 0, 0},
		"1.2.2 more than it can be":    {header("Age: 99999999999"), 0, 0, mostSeconds * time.Second},
	} {
		r := Response{Header: c.header, Asked: noon.Add(-c.delay), Answered: noon}
		if got := r.Age(noon.Add(c.resident)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	day := Policy{MaxAge: 24 * time.Hour}
	for name, c := range map[string]struct {
		policy Policy
		status int
		header http.Header
		want   time.Duration
	}{
		"4.2.1 max-age":                         {Policy{}, 200, header("Cache-Control: max-age=60"), time.Minute},
		"4.2.1 s-maxage wins":                   {Policy{}, 200, header("Cache-Control: max-age=60, s-maxage=5"), 5 * time.Second},
		"4.2.1 max-age wins over Expires":       {Policy{}, 200, header("Cache-Control: max-age=60", "Expires: "+at(-time.Hour)), time.Minute},
		"4.2.1 even if it is 0":                 {Policy{}, 200, header("Cache-Control: max-age=0", "Expires: "+at(time.Hour)), 0},
		"4.2.1 even if it cannot be read":       {Policy{}, 200, header("Cache-Control: max-age=a", "Expires: "+at(time.Hour)), 0},
		"4.2.1 Expires less Date":               {Policy{}, 200, header("Date: "+at(-time.Minute), "Expires: "+at(time.Hour)), 61 * time.Minute},
		"4.2.1 Expires less when it came":       {Policy{}, 200, header("Date: foo", "Expires: "+at(time.Hour)), time.Hour},
		"4.2.1 Expires before Date":             {Policy{}, 200, header("Date: "+at(time.Hour), "Expires: "+at(time.Minute)), 0},
		"5.3 Expires that is none":              {Policy{}, 200, header("Expires: 0", "Last-Modified: "+at(-10*time.Hour)), 0},
		"5.3 the first of two":                  {Policy{}, 200, header("Expires: "+at(time.Minute), "Expires: "+at(time.Hour)), time.Minute},
		"4.2.2 a tenth":                         {Policy{}, 200, header("Last-Modified: " + at(-10*time.Hour)), time.Hour},
		"4.2.2 counted to the Date":             {Policy{}, 200, header("Date: "+at(-5*time.Hour), "Last-Modified: "+at(-10*time.Hour)), time.Hour / 2},
		"4.2.2 a day at most":                   {Policy{}, 200, header("Last-Modified: " + at(-1000*24*time.Hour)), heuristicMost},
		"4.2.2 changed in the future":           {Policy{}, 200, header("Last-Modified: " + at(time.Hour)), 0},
		"4.2.2 never changed":                   {Policy{}, 200, nil, 0},
		"4.2.2 a status for it":                 {Policy{}, 404, header("Last-Modified: " + at(-10*time.Hour)), time.Hour},
		"4.2.2 another status":                  {Policy{}, 403, header("Last-Modified: " + at(-10*time.Hour)), 0},
		"4.2.2 another status, public":          {Policy{}, 599, header("Cache-Control: public", "Last-Modified: "+at(-10*time.Hour)), time.Hour},
		"5.4 Pragma says nothing":               {Policy{}, 200, header("Pragma: no-cache", "Last-Modified: "+at(-10*time.Hour)), time.Hour},
		"9213 2.2 CDN-Cache-Control wins":       {Policy{}, 200, header("CDN-Cache-Control: max-age=60", "Cache-Control: max-age=5"), time.Minute},
		"9213 2.2 over Expires, too":            {Policy{}, 200, header("CDN-Cache-Control: foo", "Expires: "+at(time.Hour)), 0},
		"9213 2.1 one that cannot be read":      {Policy{}, 200, header("CDN-Cache-Control: max-age= 60", "Cache-Control: max-age=5"), 5 * time.Second},
		"operator: what says nothing":           {day, 200, header("Last-Modified: " + at(-10*time.Hour)), 24 * time.Hour},
		"operator: what says something":         {day, 200, header("Cache-Control: max-age=5"), 5 * time.Second},
		"operator: not a 404":                   {day, 404, nil, 0},
		"operator: not what asks to be avoided": {day, 302, nil, 0},
	} {
		r := Response{Status: c.status, Header: c.header, Asked: noon, Answered: noon}
		if got := c.policy.lifetime(r); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const second = time.Second
	week := Policy{Stale: 7 * 24 * time.Hour}
	always := Policy{Stale: time.Hour, Revalidate: true}
	for name, c := range map[string]struct {
		policy  Policy
		control string // of the kept answer
		age     time.Duration
		request http.Header
		verdict Verdict
		reason  Reason
		ifError bool
	}{
		"4.2 fresh":                             {Policy{}, "max-age=60", 59 * second, nil, Fresh, "", true},
		"4.2 at the end of its lifetime":        {Policy{}, "max-age=60", 60 * second, nil, Revalidate, Expired, false},
		"4.2.4 the operator's limit":            {week, "max-age=60", time.Hour, nil, Revalidate, Expired, true},
		"4.2.4 beyond it":                       {week, "max-age=60", 169 * time.Hour, nil, Revalidate, Expired, false},
		"5.2.2.2 must-revalidate":               {week, "max-age=60, must-revalidate", time.Hour, nil, Revalidate, Expired, false},
		"5.2.2.2 must-revalidate, fresh":        {week, "max-age=60, must-revalidate", second, nil, Fresh, "", true},
		"5.2.2.2 over stale-if-error":           {week, "max-age=60, must-revalidate, stale-if-error=9999", time.Hour, nil, Revalidate, Expired, false},
		"5.2.2.8 proxy-revalidate":              {week, "max-age=60, proxy-revalidate", time.Hour, nil, Revalidate, Expired, false},
		"5.2.2.10 s-maxage":                     {week, "s-maxage=60", time.Hour, nil, Revalidate, Expired, false},
		"5.2.2.4 no-cache":                      {week, "max-age=60, no-cache", second, nil, Revalidate, NoCache, false},
		"5.2.2.4 no-cache of a field":           {week, `max-age=60, no-cache="a"`, second, nil, Fresh, "", true},
		"5861 3 while it is revalidated":        {Policy{}, "max-age=60, stale-while-revalidate=10", 70 * second, nil, Stale, WhileRevalidate, false},
		"5861 3 beyond":                         {Policy{}, "max-age=60, stale-while-revalidate=10", 71 * second, nil, Revalidate, Expired, false},
		"5861 3 must-revalidate":                {Policy{}, "max-age=60, stale-while-revalidate=10, must-revalidate", 65 * second, nil, Revalidate, Expired, false},
		"5861 4 stale-if-error":                 {Policy{}, "max-age=60, stale-if-error=10", 70 * second, nil, Revalidate, Expired, true},
		"5861 4 beyond":                         {Policy{}, "max-age=60, stale-if-error=10", 71 * second, nil, Revalidate, Expired, false},
		"5861 4 the origin's limit, not ours":   {week, "max-age=60, stale-if-error=0", 61 * second, nil, Revalidate, Expired, false},
		"5861 4 the client's":                   {Policy{}, "max-age=60", 70 * second, header("Cache-Control: stale-if-error=10"), Revalidate, Expired, true},
		"5861 4 the longer one":                 {Policy{}, "max-age=60, stale-if-error=20", 80 * second, header("Cache-Control: stale-if-error=10"), Revalidate, Expired, true},
		"5.2.1.1 max-age":                       {week, "max-age=60", 5 * second, header("Cache-Control: max-age=4"), Revalidate, RequestMaxAge, false},
		"5.2.1.1 max-age, young enough":         {week, "max-age=60", 5 * second, header("Cache-Control: max-age=5"), Fresh, "", true},
		"5.2.1.1 max-age that cannot be read":   {week, "max-age=60", 5 * second, header("Cache-Control: max-age=a"), Fresh, "", true},
		"5.2.1.2 max-stale":                     {Policy{}, "max-age=60", 70 * second, header("Cache-Control: max-stale=10"), Stale, RequestMaxStale, false},
		"5.2.1.2 max-stale, more":               {Policy{}, "max-age=60", 71 * second, header("Cache-Control: max-stale=10"), Revalidate, Expired, false},
		"5.2.1.2 max-stale, any":                {Policy{}, "max-age=60", time.Hour, header("Cache-Control: max-stale"), Stale, RequestMaxStale, false},
		"5.2.1.2 max-stale of must-revalidate":  {Policy{}, "max-age=60, must-revalidate", time.Hour, header("Cache-Control: max-stale"), Revalidate, Expired, false},
		"5.2.1.3 min-fresh":                     {week, "max-age=60", 5 * second, header("Cache-Control: min-fresh=56"), Revalidate, RequestMinFresh, false},
		"5.2.1.3 min-fresh, fresh enough":       {week, "max-age=60", 5 * second, header("Cache-Control: min-fresh=55"), Fresh, "", true},
		"5.2.1.4 no-cache":                      {week, "max-age=60", second, header("Cache-Control: no-cache"), Revalidate, RequestNoCache, false},
		"5.2.1.5 no-store":                      {week, "max-age=60", second, header("Cache-Control: no-store"), Unusable, RequestNoStore, false},
		"5.2.1.7 only-if-cached":                {week, "max-age=60", second, header("Cache-Control: only-if-cached"), Fresh, "", true},
		"5.2.1.7 only-if-cached, stale":         {week, "max-age=60", time.Hour, header("Cache-Control: only-if-cached"), Unsatisfiable, Expired, false},
		"5.2.1.7 only-if-cached, max-stale":     {week, "max-age=60", time.Hour, header("Cache-Control: only-if-cached, max-stale"), Stale, RequestMaxStale, true},
		"5.4 Pragma":                            {week, "max-age=60", second, header("Pragma: foo, no-cache"), Revalidate, RequestNoCache, false},
		"5.4 Pragma beside Cache-Control":       {week, "max-age=60", second, header("Pragma: no-cache", "Cache-Control: foo"), Fresh, "", true},
		"operator: revalidate":                  {always, "max-age=60", second, nil, Revalidate, Operator, true},
		"operator: revalidate, stale":           {always, "max-age=60", 2 * time.Hour, nil, Revalidate, Operator, false},
		"operator: revalidate, must-revalidate": {always, "max-age=60, must-revalidate", time.Minute, nil, Revalidate, Operator, false},
		"clock: kept in the future":             {week, "max-age=60", -time.Hour, nil, Revalidate, ClockBack, true},
		"clock: a request that waited":          {week, "max-age=60", -second, nil, Fresh, "", true},
	} {
		stored := &Response{Status: 200, Header: header("Cache-Control: " + c.control), Asked: noon, Answered: noon}
		d := c.policy.Decide(c.request, stored, noon.Add(c.age))
		if d.Verdict != c.verdict || d.Reason != c.reason || d.IfError != c.ifError {
			t.Errorf("%s: %v, %q, if error %v, want %v, %q, %v", name, d.Verdict, d.Reason, d.IfError, c.verdict, c.reason, c.ifError)
		}
		if want := max(0, c.age); d.Age != want || d.TTL != c.policy.lifetime(*stored)-want {
			t.Errorf("%s: age %v, ttl %v", name, d.Age, d.TTL)
		}
	}
}

func TestDecideNothing(t *testing.T) {
	t.Parallel()
	if d := (Policy{}).Decide(nil, nil, noon); d != (Decision{Verdict: Unusable, Reason: Missing}) {
		t.Errorf("nothing kept: %+v", d)
	}
	// RFC 9111 section 5.2.1.7
	if d := (Policy{}).Decide(header("Cache-Control: only-if-cached"), nil, noon); d.Verdict != Unsatisfiable {
		t.Errorf("nothing kept, only-if-cached: %+v", d)
	}
}

func TestReasonForwarded(t *testing.T) {
	t.Parallel()
	for reason, want := range map[Reason]string{
		Missing: "miss", Expired: "stale", NoCache: "stale", Operator: "stale", RequestNoCache: "request", RequestMaxAge: "request",
		BadMethod: "method", NoStore: "bypass",
	} {
		if got := reason.Forwarded(); got != want {
			t.Errorf("%q: fwd=%s, want %s", reason, got, want)
		}
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	for status := range 600 {
		// RFC 5861 section 4
		if got, want := Failed(status), status == 500 || 502 <= status && status <= 504; got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}
