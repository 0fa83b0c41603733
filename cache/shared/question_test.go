// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestHead passes a HEAD on when what is kept is stale, and has its answer count for a GET.
func TestHead(t *testing.T) {
	t.Parallel()
	var methods []string // the requests come one by one
	var changed atomic.Bool
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		control, tag := "Cache-Control: max-age=0", `"1"`
		if len(methods) == 2 {
			control = "Cache-Control: max-age=60"
		}
		if changed.Load() {
			control, tag = "Cache-Control: max-age=0", `"2"`
		}
		content([]byte("body"), tag, control, "Kept: 1")(w, r)
	})
	e.get(t, "/k")
	if r, _ := e.get(t, "HEAD /k"); r.StatusCode != http.StatusOK || r.ContentLength != 4 || r.Header.Get("Kept") != "1" {
		t.Errorf("%s, length %d, %v", r.Status, r.ContentLength, r.Header)
	}
	e.get(t, "/k")
	if got := strings.Join(methods, " "); got != "GET HEAD" {
		t.Errorf("asked by %s, want GET HEAD, which makes the answer fresh", got)
	}
	methods = nil
	changed.Store(true)
	e.get(t, "/other")
	changed.Store(false)
	e.get(t, "HEAD /other") // tells of another representation: a GET brings it
	if got := strings.Join(methods, " "); got != "GET HEAD GET" {
		t.Errorf("asked by %s, want GET HEAD GET", got)
	}
}

// TestTheirConditions is about clients that have what the cache has not.
func TestTheirConditions(t *testing.T) {
	t.Parallel()
	e := newEdge(t, content([]byte("body"), `"1"`, "Cache-Control: max-age=60"))
	var clients sync.WaitGroup
	for range 5 {
		clients.Go(func() {
			if r, _ := e.get(t, "/k", `If-None-Match: "1"`); r.StatusCode != http.StatusNotModified || r.Header.Get("Etag") != `"1"` {
				t.Errorf("%s, want the origin's 304", r.Status)
			}
		})
	}
	clients.Wait()
	if e.bytes.Load() != 0 {
		t.Errorf("%d bytes came for clients that have them", e.bytes.Load())
	}
	if r, got := e.get(t, "/k", `If-None-Match: "0"`); r.StatusCode != http.StatusOK || string(got) != "body" {
		t.Errorf("%s, %q", r.Status, got)
	}
	n := e.requests.Load()
	if e.get(t, "/k"); e.requests.Load() != n {
		t.Error("the answer to a condition that did not hold is not kept")
	}
}

// TestOriginChooses has an origin confirm for one request what was kept for another.
func TestOriginChooses(t *testing.T) {
	t.Parallel()
	e := newEdge(t, content([]byte("body"), `"1"`, "Cache-Control: max-age=60", "Vary: Color"))
	for _, color := range []string{"red", "blue"} {
		if r, got := e.get(t, "/k", "Color: "+color); r.StatusCode != http.StatusOK || string(got) != "body" {
			t.Errorf("%s: %s, %q", color, r.Status, got)
		}
	}
	if n := e.requests.Load(); n != 2 {
		t.Errorf("%d requests, want one for each color", n)
	}
	for _, color := range []string{"red", "blue"} {
		if e.get(t, "/k", "Color: "+color); e.requests.Load() != 2 {
			t.Errorf("%s: it is not known what was chosen", color)
		}
	}
}

// TestInterim passes on what comes before the answer, but not to firmware.
func TestInterim(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		content([]byte("body"), `"1"`)(w, r)
	})
	for agent, want := range map[string]int{"curl/8": 1, "iPXE/1.21.1": 0} {
		got := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			if status == http.StatusEarlyHints && header.Get("Link") != "" {
				got++
			}
			return nil
		}}
		r := httptest.NewRequest(http.MethodGet, e.server.URL+"/"+strings.TrimRight(agent, "/.0123456789"), nil)
		r.RequestURI = ""
		r.Header.Set("User-Agent", agent)
		response, err := http.DefaultTransport.RoundTrip(r.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got != want || response.StatusCode != http.StatusOK || response.Header.Get("Link") != "" {
			t.Errorf("%s: %d early hints, want %d; then %s, %v", agent, got, want, response.Status, response.Header)
		}
	}
}
