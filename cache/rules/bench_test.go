// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkHit asks what the rules cost a request that is answered from the store: choosing a variant, judging it,
// evaluating the request's conditions and making the header.
func BenchmarkHit(b *testing.B) {
	request := Request{Method: "GET", Header: header("User-Agent: iPXE/1.21.1", "Accept-Encoding: identity", "Range: bytes=0-1048575")}
	response := Response{
		Status: 200, Asked: noon, Answered: noon,
		Header: header("Date: "+at(0), "Last-Modified: "+at(-time.Hour), `ETag: "65b9e0f1-4c2"`, "Cache-Control: public, max-age=3600",
			"Content-Type: application/octet-stream", "Content-Length: 104857600", "Accept-Ranges: bytes"),
	}
	variants := []Variant{{Response: response}}
	policy := Policy{Stale: 7 * 24 * time.Hour}
	now := noon.Add(time.Minute)
	b.ReportAllocs()
	var got http.Header
	for b.Loop() {
		i := Choose(variants, request.Header)
		if policy.Decide(request.Header, &variants[i].Response, now).Verdict != Fresh || Evaluate(request, response) != Ranges {
			b.Fatal("not a hit")
		}
		got = response.Served(now)
	}
	if got.Get("Age") != "60" {
		b.Fatal(got)
	}
}
