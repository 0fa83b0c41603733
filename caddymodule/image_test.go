// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

func TestImages(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	whole := string(imageBytes)
	for name, tt := range map[string]struct {
		method, target string
		header         []string
		status         int
		body           string
	}{
		"whole":            {"GET", "/deploy_kernel", nil, 200, whole},
		"length":           {"HEAD", "/deploy_kernel", nil, 200, ""},
		"range":            {"GET", "/deploy_ramdisk", []string{"Range", "bytes=16-31"}, 206, whole[16:32]},
		"end":              {"GET", "/deploy_ramdisk", []string{"Range", "bytes=65520-"}, 206, whole[65520:]},
		"suffix":           {"GET", "/deploy_ramdisk", []string{"Range", "bytes=-16"}, 206, whole[65520:]},
		"past the end":     {"GET", "/deploy_ramdisk", []string{"Range", "bytes=65536-"}, 416, ""},
		"the same":         {"GET", "/deploy_kernel", []string{"If-None-Match", `"ipa.kernel"`}, 304, ""},
		"range of another": {"GET", "/deploy_kernel", []string{"Range", "bytes=0-15", "If-Range", `"x"`}, 200, whole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := e.ask(t, tt.method, "/"+nodeUUID(1)+tt.target, tt.header...)
			if got.status != tt.status || tt.status < 400 && got.body != tt.body {
				t.Errorf("%d with %d bytes, want %d with %d", got.status, len(got.body), tt.status, len(tt.body))
			}
			if tt.method == http.MethodHead && got.header.Get("Content-Length") != "65536" {
				t.Errorf("Content-Length = %q, want 65536", got.header.Get("Content-Length"))
			}
		})
	}
}

// TestImageOriginFaults lets an origin misbehave and wants no client to take what it gets for the image.
func TestImageOriginFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		origin http.HandlerFunc
		status int // 0: the connection ends before the body does
	}{
		"not there": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 404},
		"error":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 502},
		"web page":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><p>Welcome") }, 502},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "x")
		}, 502},
		"range unasked": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-0/9")
			w.WriteHeader(206)
			io.WriteString(w, "x")
		}, 502},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				w.Write(imageBytes)
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, 200},
		"redirect loop": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, 502},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "65536")
			w.Write(imageBytes[:40000])
			panic(http.ErrAbortHandler)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin := httptest.NewServer(tt.origin)
			t.Cleanup(origin.Close)
			api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
			t.Cleanup(api.Close)
			e := newEdgeBefore(t, api, nil)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/"+nodeUUID(1)+"/deploy_kernel", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if tt.status == 0 {
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("a short image of %d bytes ends with %v, want an unexpected end", len(body), err)
				}
				return
			}
			if err != nil || response.StatusCode != tt.status {
				t.Errorf("status %d, %v; want %d", response.StatusCode, err, tt.status)
			}
			if tt.status != 200 && response.Header.Get(reasonHeader) != reasonOrigin {
				t.Errorf("reason %q, want %q", response.Header.Get(reasonHeader), reasonOrigin)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	h := &Handler{imageMap: map[string]string{"file:///shared/html/": "http://images/", "file:///shared/html/big/": "http://big/", "glance://": "http://glance/v2/images/"}}
	for ref, want := range map[string]string{
		"http://a/k":                 "http://a/k",
		"https://a/k?x=1":            "https://a/k?x=1",
		"file:///shared/html/k":      "http://images/k",
		"file:///shared/html/big/k":  "http://big/k",
		"glance://" + someUUID:       "http://glance/v2/images/" + someUUID,
		"file:///etc/shadow":         "",
		someUUID:                     "",
		"oci://host/name@sha256:00":  "",
		"nfs://host/k":               "",
		"http://":                    "",
		"k":                          "",
		"http://a/k\nX-Header: evil": "",
	} {
		for range 20 { // whatever the order in which prefixes are looked at
			if got, err := h.follow(ref); got != want || (err == nil) != (want != "") {
				t.Fatalf("follow(%q) = %q, %v; want %q", ref, got, err, want)
			}
		}
	}
}

// TestConductorSecrets boots from a volume with CHAP, whose password only the conductor's script has.
func TestConductorSecrets(t *testing.T) {
	t.Parallel()
	conductor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/" + nodeUUID(9) + "/config":
			io.WriteString(w, "#!ipxe\nset username edge\nset password s3cret\nsanhook --drive 0x80 iscsi:a\n")
		case "/" + nodeUUID(10) + "/ks.cfg":
			io.WriteString(w, "token s3cret")
		default:
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(conductor.Close)
	e := newEdge(t, func(h *Handler) { h.ConductorHTTP = conductor.URL })
	node := e.api.Nodes()[8]
	node.Volumes[0].Properties["auth_method"], node.Volumes[0].Properties["auth_username"], node.Volumes[0].Properties["auth_password"] = "CHAP", "edge", "x"
	e.api.SetNode(node)
	for range 2 {
		got := e.get(t, "/pxelinux.cfg/"+nodeMAC(9))
		if got.status != 200 || !strings.Contains(got.body, "set username edge\nset password s3cret\n") {
			t.Errorf("GET = %d\n%s", got.status, got.body)
		}
	}
	entry, err := e.handler.node(t.Context(), uuidKey(nodeUUID(9)), &e.handler.terms)
	if err != nil || entry.Value.rendered.Load() != nil {
		t.Errorf("the script with the password is kept, or not found: %v", err)
	}
	if got := e.get(t, "/"+nodeUUID(10)+"/ks.cfg"); got.status != 200 || got.body != "token s3cret" {
		t.Errorf("ks.cfg = %d %s", got.status, got.body)
	}

	without := newEdgeBefore(t, e.api, nil)
	got := without.get(t, "/pxelinux.cfg/"+nodeMAC(9))
	if got.status != 200 || got.header.Get(reasonHeader) != string(ipxe.ReasonSecret) || !strings.Contains(got.body, "give conductor_http") {
		t.Errorf("without conductor_http = %d\n%s", got.status, got.body)
	}
}

// TestRedirectionKeepsTheURLToItself follows an origin that sends its clients to another host, which must not learn the
// first URL: it can hold a signature that lets anybody fetch the image.
func TestRedirectionKeepsTheURLToItself(t *testing.T) {
	t.Parallel()
	var referer atomic.Pointer[string]
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.Header.Get("Referer")
		referer.Store(&s)
		w.Write(imageBytes)
	}))
	t.Cleanup(elsewhere.Close)
	origin := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	t.Cleanup(origin.Close)
	e := newEdge(t, func(h *Handler) { h.AllowOrigins = []string{origin.URL, elsewhere.URL} })
	node := e.api.Nodes()[0]
	node.DriverInfo["deploy_kernel"] = origin.URL + "/k?temp_url_sig=s3cret"
	e.api.SetNode(node)
	if got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel"); got.status != 200 {
		t.Fatalf("status %d", got.status)
	}
	if s := *referer.Load(); s != "" {
		t.Errorf("the other host learns the URL %q", s)
	}
}

// TestRangeWithoutALength has an origin that says which range it sends and not how long its answer is, and sends more or
// less. Firmware looks at the length only.
func TestRangeWithoutALength(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"short": 50, "right": 100, "long": 150} {
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-99/65536")
			w.WriteHeader(http.StatusPartialContent)
			http.NewResponseController(w).Flush()
			w.Write(imageBytes[:size])
		}))
		t.Cleanup(origin.Close)
		api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
		t.Cleanup(api.Close)
		e := newEdgeBefore(t, api, nil)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/"+nodeUUID(1)+"/deploy_kernel", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Range", "bytes=0-99")
		var body []byte
		response, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if whole := err == nil; whole != (size == 100) || len(body) > 100 {
			t.Errorf("%s: %d bytes, %v", name, len(body), err)
		}
	}
}

// TestSeveralRanges wants an answer with several ranges to say where one ends and the next begins.
func TestSeveralRanges(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil)
	got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel", "Range", "bytes=0-1,4-5")
	kind, parameters, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if got.status != 206 || err != nil || kind != "multipart/byteranges" {
		t.Fatalf("%d, Content-Type %q, %v", got.status, got.header.Get("Content-Type"), err)
	}
	parts := multipart.NewReader(strings.NewReader(got.body), parameters["boundary"])
	for _, want := range []string{"01", "45"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(part); err != nil || string(body) != want {
			t.Errorf("a part is %q, %v; want %q", body, err, want)
		}
	}
}

// TestUnaskedAnswers are answers to questions that nobody put.
func TestUnaskedAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable} {
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(origin.Close)
		api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
		t.Cleanup(api.Close)
		e := newEdgeBefore(t, api, nil)
		if got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel"); got.status != http.StatusBadGateway || got.header.Get(reasonHeader) != reasonOrigin {
			t.Errorf("an unasked %d becomes %d %s", status, got.status, got.header.Get(reasonHeader))
		}
	}
}

// TestKickstartIsNotKept wants nobody on the way to keep a file that holds the agent's token.
func TestKickstartIsNotKept(t *testing.T) {
	t.Parallel()
	conductor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Wed, 25 Nov 2020 12:00:00 GMT") // without more a cache may keep it for months
		io.WriteString(w, "token s3cret")
	}))
	t.Cleanup(conductor.Close)
	e := newEdge(t, func(h *Handler) { h.ConductorHTTP = conductor.URL })
	if got := e.get(t, "/"+nodeUUID(10)+"/ks.cfg"); got.status != 200 || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("ks.cfg = %d with Cache-Control %q, want no-store", got.status, got.header.Get("Cache-Control"))
	}
}
