// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironic-edge/ironic-edge/cache"
)

func redirectTo(location string) string {
	return "HTTP/1.1 302 Found\nLocation: " + location + "\nContent-Length: 0\n\n"
}

const small = "HTTP/1.1 200 OK\nContent-Length: 1\n\n0"

// TestRedirects has a Location per row, and what becomes of it.
func TestRedirects(t *testing.T) {
	t.Parallel()
	other := startRaw(t, func(*http.Request) string { return small })
	stranger := startRaw(t, func(*http.Request) string { return small })
	at := strings.TrimPrefix(stranger.url, "http://")
	for name, tt := range map[string]struct{ location, want string }{
		"path":             {"/end", "200, 0+1 of 1: 0"},
		"relative":         {"end?x=1", "200, 0+1 of 1: 0"},
		"host":             {other.url + "/end", "200, 0+1 of 1: 0"},
		"without scheme":   {strings.TrimPrefix(other.url, "http:") + "/end", "200, 0+1 of 1: 0"},
		"user and anchor":  {strings.Replace(other.url, "//", "//u:s3cret@", 1) + "/end#x", "200, 0+1 of 1: 0"},
		"five":             {"/4", "200, 0+1 of 1: 0"},
		"six":              {"/5", "refused 502: more than 5 redirects"},
		"loop":             {"/loop", "refused 502: more than 5 redirects"},
		"stranger":         {stranger.url + "/end", "refused 502: a redirect to " + at + " (http), which Allow does not name"},
		"stranger by name": {"http://evil.example/?s3cret", "refused 502: a redirect to evil.example (http), which Allow does not name"},
		"via another":      {"/to-stranger", "refused 502: a redirect to " + at + " (http), which Allow does not name"},
		"nowhere":          {"", "refused 502: status 302"},
		"file":             {"file:///etc/passwd", "refused 502: a redirect to what is neither http nor https"},
		"gopher":           {"gopher://" + at, "refused 502: a redirect to what is neither http nor https"},
		"not a URL":        {"http://[::1/s3cret", "refused 502: a redirect to what is not a URL"},
		"other letters":    {"http://bücher.example/", "refused 502: a redirect to what " + errHost.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(r *http.Request) string {
				var n int
				switch _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); {
				case r.URL.Path == "/end":
					return small
				case r.URL.Path == "/loop":
					return redirectTo("/loop")
				case r.URL.Path == "/to-stranger":
					return redirectTo(stranger.url)
				case err == nil && n > 1:
					return redirectTo(fmt.Sprintf("/%d", n-1))
				case err == nil:
					return redirectTo("/end")
				}
				return redirectTo(tt.location)
			})
			c := newClient(t, nil)
			c.allowURL(t, other.url)
			p, err := source(t, c, o.url+"/image", nil).Open(t.Context(), cache.Ask{})
			if got := outcome(t, p, err); got != tt.want {
				t.Errorf("Open = %s, want %s", got, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(stranger.requests()); n > 0 {
			t.Errorf("who may not be asked was asked %d times", n)
		}
	})
}

func TestRedirectStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		300: "refused 502: status 300", 301: "200, 0+1 of 1: 0", 302: "200, 0+1 of 1: 0", 303: "200, 0+1 of 1: 0",
		305: "refused 502: status 305", 307: "200, 0+1 of 1: 0", 308: "200, 0+1 of 1: 0",
	} {
		o := startRaw(t, func(r *http.Request) string {
			if r.URL.Path == "/end" {
				return small
			}
			return fmt.Sprintf("HTTP/1.1 %d Elsewhere\nLocation: /end\nContent-Length: 0\n\n", status)
		})
		p, err := source(t, newClient(t, nil), o.url, nil).Open(t.Context(), cache.Ask{})
		if got := outcome(t, p, err); got != want {
			t.Errorf("after status %d Open = %s, want %s", status, got, want)
		}
	}
}

// TestRedirectDowngrade does not follow from https to http, even to whom may be asked.
func TestRedirectDowngrade(t *testing.T) {
	t.Parallel()
	plain := startRaw(t, func(*http.Request) string { return small })
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.url, http.StatusFound))
	t.Cleanup(secure.Close)
	c := newClient(t, nil)
	c.transport = secure.Client().Transport
	c.allowURL(t, plain.url)
	p, err := source(t, c, secure.URL, nil).Open(t.Context(), cache.Ask{})
	if got, want := outcome(t, p, err), "refused 502: a redirect from https to http"; got != want {
		t.Errorf("Open = %s, want %s", got, want)
	}
}

// TestCredentials looks at what each of the servers on the way is told. The first one sends the question to the second
// and that one back: whether it comes back to the first's own credentials is not for the second to say.
func TestCredentials(t *testing.T) {
	t.Parallel()
	var first, second *rawOrigin
	second = startRaw(t, func(r *http.Request) string {
		if r.URL.Path == "/back" {
			return redirectTo(first.url + "/end")
		}
		return small
	})
	first = startRaw(t, func(r *http.Request) string {
		switch r.URL.Path {
		case "/image":
			return redirectTo("/same")
		case "/same":
			return redirectTo(second.url + "/back")
		}
		return small
	})
	c := newClient(t, nil)
	c.allowURL(t, second.url)
	s := source(t, c, strings.Replace(first.url, "//", "//edge:s3cret@", 1)+"/image", http.Header{"X-Auth-Token": {"s3cret"}})
	if strings.Contains(fmt.Sprintf("%v %s", s, s), "s3cret") {
		t.Errorf("the source is printed as %v", s)
	}
	p, err := s.Open(t.Context(), cache.Ask{First: 0, Length: 16})
	if got, want := outcome(t, p, err), "200, 0+1 of 1: 0"; got != want {
		t.Fatalf("Open = %s, want %s", got, want)
	}
	for _, r := range append(first.requests(), second.requests()...) {
		user, password, _ := r.BasicAuth()
		told := user == "edge" && password == "s3cret" && r.Header.Get("X-Auth-Token") == "s3cret"
		if want := r.Host == hostOf(first) && r.URL.Path != "/end"; told != want {
			t.Errorf("%s%s was told the credentials: %t, want %t", r.Host, r.URL.Path, told, want)
		}
		if len(r.Header["Authorization"]) > 0 != told || len(r.Header["Referer"]) > 0 {
			t.Errorf("%s%s was told %v", r.Host, r.URL.Path, r.Header)
		}
		if got := r.Header.Get("Range"); got != "bytes=0-15" {
			t.Errorf("%s%s was asked for %q, want bytes=0-15", r.Host, r.URL.Path, got)
		}
	}
	own := source(t, c, strings.Replace(first.url, "//", "//u:p@", 1)+"/end", http.Header{"authorization": {"Bearer t"}})
	p, err = own.Open(t.Context(), cache.Ask{})
	outcome(t, p, err)
	requests := first.requests()
	if got := requests[len(requests)-1].Header.Get("Authorization"); got != "Bearer t" {
		t.Errorf("Authorization: %q, want the header's own", got)
	}
}

func hostOf(o *rawOrigin) string { return strings.TrimPrefix(o.url, "http://") }

// TestErrorsHoldNoSecret breaks the line in several places, before and after a redirect.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	dead := "http://" + l.Addr().String()
	for name, tt := range map[string]struct{ answer, want string }{
		"hangs up":            {"", "ask %s/image: "},
		"is no HTTP":          {"SSH-2.0-OpenSSH_9.2\n\n", "ask %s/image: "},
		"echoes":              {"GET /image?temp_url_sig=s3cret HTTP/1.1\n\n", "ask %s/image: "},
		"sends a huge header": {"HTTP/1.1 200 OK\nX: " + strings.Repeat("x", 2*maxHeader) + "\n\n", "ask %s/image: "},
		"refuses":             {redirectTo(dead + "/there?sig=s3cret"), "ask " + dead + "/there: "},
		"has two lengths":     {"HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\n00", "ask %s/image: "},
		"codes its transfer":  {"HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n00", "ask %s/image: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startRaw(t, func(*http.Request) string { return tt.answer })
			c := newClient(t, nil)
			c.allowURL(t, dead)
			s := source(t, c, strings.Replace(o.url, "//", "//u:s3cret@", 1)+"/image?temp_url_sig=s3cret", nil)
			_, err := s.Open(t.Context(), cache.Ask{})
			want := strings.Replace(tt.want, "%s", o.url, 1)
			if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("Open = %v, want an error that begins with %q and has no secret", err, want)
			}
		})
	}
}
