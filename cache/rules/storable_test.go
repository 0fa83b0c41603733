// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/http"
	"net/url"
	"testing"
)

func target(uri string) *url.URL {
	u, err := url.Parse(uri)
	if err != nil {
		panic(err)
	}
	return u
}

func TestStorable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method   string
		request  http.Header
		status   int
		response http.Header
		want     Reason
	}{
		"3 a lifetime":                       {"GET", nil, 200, header("Cache-Control: max-age=1"), ""},
		"3 a lifetime for us":                {"GET", nil, 200, header("Cache-Control: s-maxage=1"), ""},
		"3 Expires":                          {"GET", nil, 200, header("Expires: 0"), ""},
		"3 cacheable by default":             {"GET", nil, 200, nil, ""},
		"3 not cacheable by default":         {"GET", nil, 302, nil, BadStatus},
		"3 the same with Expires":            {"GET", nil, 302, header("Expires: 0"), ""},
		"3 the same, public":                 {"GET", nil, 599, header("Cache-Control: public"), ""},
		"3 an unknown status with lifetime":  {"GET", nil, 599, header("Cache-Control: max-age=1"), ""},
		"3 an error with lifetime":           {"GET", nil, 503, header("Cache-Control: max-age=1"), ""},
		"3 an error":                         {"GET", nil, 503, nil, BadStatus},
		"3 an interim answer":                {"GET", nil, 103, header("Cache-Control: max-age=1"), BadStatus},
		"3 a 304":                            {"GET", nil, 304, header("Cache-Control: max-age=1"), BadStatus},
		"3 a 416":                            {"GET", nil, 416, header("Cache-Control: max-age=1"), BadStatus},
		"3 HEAD":                             {"HEAD", nil, 200, header("Cache-Control: max-age=1"), BadMethod},
		"3 PUT":                              {"PUT", nil, 200, header("Cache-Control: max-age=1"), BadMethod},
		"3.3 a part":                         {"GET", nil, 206, header("Content-Range: bytes 0-4/10"), ""},
		"3.3 a part of something":            {"GET", nil, 206, header("Content-Range: bytes 0-4/*"), ""},
		"3.3 a part of what":                 {"GET", nil, 206, nil, BadRange},
		"3.3 a part beyond its end":          {"GET", nil, 206, header("Content-Range: bytes 5-10/10"), BadRange},
		"3.3 a part that ends first":         {"GET", nil, 206, header("Content-Range: bytes 5-4/10"), BadRange},
		"3.3 a part of another unit":         {"GET", nil, 206, header("Content-Range: lines 0-4/10"), BadRange},
		"3.3 several parts":                  {"GET", nil, 206, header("Content-Type: multipart/byteranges; boundary=a"), BadRange},
		"3.5 Authorization":                  {"GET", header("Authorization: a"), 200, header("Cache-Control: max-age=1"), Authorized},
		"3.5 public":                         {"GET", header("Authorization: a"), 200, header("Cache-Control: max-age=1, public"), ""},
		"3.5 must-revalidate":                {"GET", header("Authorization: a"), 200, header("Cache-Control: max-age=1, must-revalidate"), ""},
		"3.5 s-maxage":                       {"GET", header("Authorization: a"), 200, header("Cache-Control: s-maxage=1"), ""},
		"4.1 Vary: *":                        {"GET", nil, 200, header("Cache-Control: max-age=1", "Vary: , *"), VaryAny},
		"5.2.1.5 no-store of the client":     {"GET", header("Cache-Control: no-store"), 200, header("Cache-Control: max-age=1"), RequestNoStore},
		"5.2.2.3 must-understand":            {"GET", nil, 200, header("Cache-Control: no-store, must-understand"), ""},
		"5.2.2.3 not understood":             {"GET", nil, 599, header("Cache-Control: max-age=1, no-store, must-understand"), MustUnderstand},
		"5.2.2.4 no-cache":                   {"GET", nil, 200, header("Cache-Control: no-cache"), ""},
		"5.2.2.5 no-store":                   {"GET", nil, 200, header("Cache-Control: max-age=1, No-StOrE"), NoStore},
		"5.2.2.5 no-store, badly":            {"GET", nil, 200, header("Cache-Control: max-age=1", "Cache-Control: no-store =1"), NoStore},
		"5.2.2.7 private":                    {"GET", nil, 200, header("Cache-Control: private, max-age=1"), Private},
		"5.2.2.7 private, badly":             {"GET", nil, 200, header("Cache-Control: private; max-age=1"), Private},
		"5.2.2.7 a field that is private":    {"GET", nil, 200, header(`Cache-Control: private="a", max-age=1`), ""},
		"5.4 Pragma says nothing":            {"GET", nil, 200, header("Cache-Control: max-age=1", "Pragma: no-cache"), ""},
		"7.3 Set-Cookie":                     {"GET", nil, 200, header("Cache-Control: max-age=1", "Set-Cookie: a=b"), ""},
		"9110 9.3.3 POST":                    {"POST", nil, 200, header("Cache-Control: max-age=1"), BadMethod},
		"9110 9.3.3 POST with its GET":       {"POST", nil, 200, header("Cache-Control: max-age=1", "Content-Location: /a?b"), ""},
		"9110 9.3.3 POST with another":       {"POST", nil, 200, header("Cache-Control: max-age=1", "Content-Location: /a?c"), BadMethod},
		"9110 9.3.3 POST without a lifetime": {"POST", nil, 200, header("Content-Location: /a?b"), BadMethod},
		"9213 2.2 no-store":                  {"GET", nil, 200, header("Cache-Control: max-age=1", "CDN-Cache-Control: no-store"), NoStore},
		"9213 2.2 private":                   {"GET", nil, 200, header("Cache-Control: max-age=1", "CDN-Cache-Control: private"), Private},
		"9213 2.2 for others only":           {"GET", nil, 200, header("Cache-Control: no-store", "CDN-Cache-Control: max-age=1"), ""},
		"9213 2.2 Expires is void":           {"GET", nil, 302, header("Expires: 0", "CDN-Cache-Control: foo"), BadStatus},
		"9213 2.1 one that cannot be read":   {"GET", nil, 200, header("Cache-Control: no-store", "CDN-Cache-Control: max-age=1, &"), NoStore},
	} {
		request := Request{Method: c.method, URL: target("http://origin/a?b"), Header: c.request}
		ok, why := Storable(request, Response{Status: c.status, Header: c.response})
		if why != c.want || ok != (c.want == "") {
			t.Errorf("%s: %v, %q, want %q", name, ok, why, c.want)
		}
	}
}

func TestStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ response, want http.Header }{
		"3.1 the connection's fields": {
			header("Date: x", "Connection: a, B", "Connection: c", "A: 1", "B: 2", "C: 3", "D: 4", "Keep-Alive: e", "TE: f",
				"Upgrade: g", "Proxy-Authenticate: h", "Transfer-Encoding: i", "Proxy-Connection: j", "Trailer: k",
				"Proxy-Authorization: l", "Proxy-Authentication-Info: m"),
			header("Date: x", "D: 4"),
		},
		"5.2.2.4 fields under no-cache": {
			header("Date: x", `Cache-Control: no-cache="a, b"`, "A: 1", "B: 2", "C: 3"),
			header("Date: x", `Cache-Control: no-cache="a, b"`, "C: 3"),
		},
		"5.2.2.7 fields that are private": {
			header("Date: x", `Cache-Control: private="set-cookie"`, "Set-Cookie: a=b"),
			header("Date: x", `Cache-Control: private="set-cookie"`),
		},
		"9110 6.6.1 a Date": {header("A: 1"), header("A: 1", "Date: Wed, 25 Nov 2026 15:00:00 GMT")},
	} {
		r := Response{Header: c.response, Answered: noon}
		if got := r.Stored().Header; !equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// FuzzStorable knows that what is stored says nothing that forbids to store it, whatever else it says.
func FuzzStorable(f *testing.F) {
	f.Add("max-age=1", "", "Foo")
	f.Add(`private="a", no-cache`, "max-age=5", "*")
	f.Fuzz(func(t *testing.T, control, targeted, vary string) {
		h := http.Header{"Cache-Control": {control}, "Cdn-Cache-Control": {targeted}, "Vary": {vary}}
		r := Response{Status: 200, Header: h, Asked: noon, Answered: noon}
		if ok, _ := Storable(Request{Method: "GET"}, r); !ok {
			return
		}
		stored := r.Stored()
		if ok, why := Storable(Request{Method: "GET"}, stored); !ok {
			t.Fatalf("%q is stored, then not for %q", h, why)
		}
		if again := stored.Stored(); !equal(again.Header, stored.Header) {
			t.Fatalf("%q, stored twice, is %q", stored.Header, again.Header)
		}
	})
}
