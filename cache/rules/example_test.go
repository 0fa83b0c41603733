// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ironic-edge/ironic-edge/cache/rules"
)

var (
	noon  = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	image = &url.URL{Scheme: "https", Host: "origin", Path: "/ramdisk"}
)

func ExampleStorable() {
	request := rules.Request{Method: "GET", URL: image, Header: http.Header{"Authorization": {"Basic YTpi"}}}
	fmt.Println(rules.Storable(request, rules.Response{Status: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}}))
	fmt.Println(rules.Storable(request, rules.Response{Status: 200, Header: http.Header{"Cache-Control": {"max-age=60, public"}}}))
	// Output:
	// false authorization
	// true
}

func ExamplePolicy_Decide() {
	policy := rules.Policy{Stale: 7 * 24 * time.Hour}
	stored := &rules.Response{Status: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Asked: noon, Answered: noon}
	for _, after := range []time.Duration{20 * time.Second, time.Hour, 8 * 24 * time.Hour} {
		d := policy.Decide(nil, stored, noon.Add(after))
		fmt.Println(d.Verdict, d.Reason, d.TTL, d.IfError)
	}
	// Output:
	// fresh  40s true
	// revalidate stale -59m0s true
	// revalidate stale -191h59m0s false
}

func ExampleRevalidation() {
	kept := rules.Response{
		Status: 200, Asked: noon, Answered: noon,
		Header: http.Header{"Etag": {`"a"`}, "Cache-Control": {"max-age=60"}, "Date": {noon.Format(http.TimeFormat)}},
	}
	variants := []rules.Variant{{Response: kept}}
	header, _ := rules.Revalidation(nil, variants, 0)
	fmt.Println(header)

	// The origin answers with 304 an hour later.
	later := noon.Add(time.Hour)
	notModified := rules.Response{
		Status: 304, Asked: later, Answered: later,
		Header: http.Header{"Etag": {`"a"`}, "Date": {later.Format(http.TimeFormat)}},
	}
	for _, i := range rules.Confirmed(variants, notModified) {
		variants[i].Response = variants[i].Response.Updated(notModified)
	}
	fmt.Println(rules.Policy{}.Decide(nil, &variants[0].Response, later).TTL)
	// Output:
	// map[If-None-Match:["a"]]
	// 1m0s
}

func ExampleChoose() {
	gzip := rules.Variant{
		Response:  rules.Response{Status: 200, Header: http.Header{"Vary": {"Accept-Encoding"}}, Answered: noon},
		Selecting: http.Header{"Accept-Encoding": {"gzip, br"}},
	}
	fmt.Println(rules.Choose([]rules.Variant{gzip}, http.Header{"Accept-Encoding": {"br,gzip"}}))
	fmt.Println(rules.Choose([]rules.Variant{gzip}, http.Header{"Accept-Encoding": {"identity"}}))
	// Output:
	// 0
	// -1
}

func ExampleEvaluate() {
	stored := rules.Response{Status: 200, Header: http.Header{"Etag": {`"a"`}}, Answered: noon}
	request := rules.Request{Method: "GET", URL: image, Header: http.Header{"If-None-Match": {`"a"`}, "Range": {"bytes=0-9"}}}
	fmt.Println(rules.Evaluate(request, stored) == rules.NotModified)
	request.Header.Set("If-None-Match", `"b"`)
	fmt.Println(rules.Evaluate(request, stored) == rules.Ranges)
	// Output:
	// true
	// true
}

func ExampleInvalidated() {
	request := rules.Request{Method: "PUT", URL: image}
	response := rules.Response{Status: 201, Header: http.Header{"Location": {"/ramdisk.v2"}}}
	for _, u := range rules.Invalidated(request, response) {
		fmt.Println(u)
	}
	// Output:
	// https://origin/ramdisk
	// https://origin/ramdisk.v2
}
