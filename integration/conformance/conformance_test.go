// SPDX-License-Identifier: Apache-2.0

//go:build integration

package conformance

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/qemu"
	"github.com/ironic-edge/ironic-edge/ipxe/ipxetest"
)

// quiet is how long a machine may ask for nothing before it hangs: no example waits for longer than a few seconds, but
// an emulated machine takes its time to start.
const quiet = 90 * time.Second

// TestConformance boots one machine for each platform, which runs all examples.
func TestConformance(t *testing.T) {
	examples, err := ipxetest.ReadExamples(os.DirFS("../../ipxe/ipxetest/testdata/conformance"))
	if err != nil {
		t.Fatal(err)
	}
	guest, err := qemu.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := os.ReadFile(guest.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{ipxetest.BIOS, ipxetest.UEFI} {
		t.Run(platform, func(t *testing.T) { compare(t, examples, platform, kernel) })
	}
}

func compare(t *testing.T, examples []ipxetest.Example, platform string, kernel []byte) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + net.JoinHostPort(qemu.Host, port)
	r := &recorder{site: ipxetest.NewSite(examples, platform, base), kernel: kernel, got: make(map[string][]request), asked: make(chan struct{}, 1)}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: r}}
	server.Start()
	t.Cleanup(server.Close)
	vm, err := qemu.Start(t.Context(), qemu.Machine{UEFI: platform == ipxetest.UEFI, MAC: ipxetest.SiteMAC, BootURL: base + "/driver.ipxe", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Stop)
	r.wait(t, vm)
	for _, e := range examples {
		if _, ok := e.Trace(platform); ok {
			t.Run(e.Name, func(t *testing.T) {
				want, err := ipxetest.Want(e, platform, base)
				if err != nil {
					t.Fatal(err)
				}
				_, console, _ := strings.Cut(vm.Console(), "/begin/"+e.Name+".")
				console, _, _ = strings.Cut(console, "/begin/")
				check(t, e, requests(want, base), r.got[e.Name], console)
				for _, event := range want.Events {
					// A console breaks lines where its screen ends.
					if event.Kind == "echo" && !strings.Contains(strings.ReplaceAll(console, "\n", ""), event.Text) {
						t.Errorf("%s: %q is not on the console:\n%s", e.About, event.Text, console)
					}
				}
			})
		}
	}
}

// check compares the requests of an example, and that the machine waited when it had to.
func check(t *testing.T, e ipxetest.Example, want, got []request, console string) {
	if w, g := lines(want), lines(got); !slices.Equal(w, g) {
		t.Fatalf("%s\niPXE asks for\n\t%s\nthe interpreter for\n\t%s\niPXE's console:\n%s", e.About, strings.Join(g, "\n\t"), strings.Join(w, "\n\t"), console)
	}
	for i := 1; i < len(got); i++ {
		if d := got[i].at.Sub(got[i-1].at); d < want[i].wait*9/10 { // timers of an emulated machine are not exact
			t.Errorf("%s: iPXE waits %v before %s, not %v", e.About, d, got[i].line, want[i].wait)
		}
	}
}

// request is a request as its method, path and query.
type request struct {
	line string
	at   time.Time
	wait time.Duration // that a trace has before it
}

func lines(all []request) []string {
	var l []string
	for _, r := range all {
		l = append(l, r.line)
	}
	return l
}

// requests are those in a trace that the server sees.
func requests(t ipxetest.Trace, base string) []request {
	var all []request
	var wait time.Duration
	for _, e := range t.Events {
		target, _, _ := strings.Cut(e.Text, " ")
		switch e.Kind {
		case "wait", "sleep":
			if n, err := strconv.Atoi(e.Text); err == nil {
				wait += time.Duration(n) * time.Second
			}
		case http.MethodGet, http.MethodHead:
			if target, ok := strings.CutPrefix(target, base); ok {
				all = append(all, request{line: line(e.Kind, target), wait: wait})
				wait = 0
			}
		}
	}
	return all
}

// line undoes the escapes of a path and query: versions of iPXE differ in what they escape in a request.
func line(method, target string) string {
	target, _, _ = strings.Cut(target, "#")
	if plain, err := url.PathUnescape(target); err == nil {
		target = plain
	}
	return method + " " + target
}

// recorder answers requests as the site does and writes them down.
type recorder struct {
	kernel []byte
	asked  chan struct{} // has room for one

	mu       sync.Mutex
	site     *ipxetest.Site
	example  string
	finished bool
	got      map[string][]request
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	answer := r.answer(q)
	body := answer.Body
	if body == nil {
		body = r.kernel
	}
	if answer.RetryAfter != "" {
		w.Header().Set("Retry-After", answer.RetryAfter)
	}
	if answer.Location != "" {
		w.Header().Set("Location", answer.Location)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body)
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

func (r *recorder) answer(q *http.Request) ipxetest.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, begins := strings.CutPrefix(q.URL.Path, "/begin/")
	switch {
	case begins:
		r.example = name
	case q.URL.Path == "/finished":
		r.finished = true
	case r.example != "":
		r.got[r.example] = append(r.got[r.example], request{line: line(q.Method, q.RequestURI), at: time.Now()})
	}
	return r.site.Answer(q.URL.Path + "?" + q.URL.RawQuery)
}

// wait returns when the machine has run the last example.
func (r *recorder) wait(t *testing.T, vm *qemu.VM) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), quiet)
		select {
		case <-r.asked:
			cancel()
		case <-ctx.Done():
			cancel()
			console := vm.Console()
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("in example %q the machine stopped asking after %q; the console's end:\n%s", r.example, lines(r.got[r.example]), console[max(0, len(console)-2000):])
		}
		r.mu.Lock()
		finished := r.finished
		r.mu.Unlock()
		if finished {
			return
		}
	}
}
