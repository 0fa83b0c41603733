// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// rangeRequest is one that a client makes; with a range if that is not empty.
func rangeRequest(client, method, span string) *http.Request {
	r := httptest.NewRequest(method, "/k", nil)
	r.RemoteAddr = client + ":1234"
	if span != "" {
		r.Header.Set("Range", span)
	}
	return r
}

// TestAdmission has a machine that boots from an ISO beside others that want to, where there is one place.
func TestAdmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a admission
		enter := func(want bool, client, method, span string) (leave func()) {
			t.Helper()
			_, leave, ok := a.enter(rangeRequest(client, method, span), 1, 0)
			if ok != want {
				t.Fatalf("%s %s %s is let in: %v, want %v", client, method, span, ok, want)
			}
			return leave
		}
		const one, other = "192.0.2.1", "192.0.2.2"
		for range 5 {
			leave := enter(true, one, "GET", "bytes=0-511")
			enter(false, one, "GET", "bytes=0-511") // a second one at once has no place
			enter(false, other, "GET", "")
			enter(true, other, "HEAD", "")()
			leave()
			time.Sleep(keepPlace - time.Second)
			enter(false, other, "GET", "bytes=0-511")
		}
		time.Sleep(2 * time.Second)
		leave := enter(true, other, "GET", "")
		enter(false, one, "GET", "bytes=512-1023")
		leave()
		enter(true, one, "GET", "")() // the whole of it is one transfer, and over
		enter(true, other, "GET", "")()
	})
}

// TestAdmissionOfMany has three machines behind one address, one of which goes. Its place is for others after a while; the
// two that go on keep theirs.
func TestAdmissionOfMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a admission
		enter := func(client, span string) (leave func(), ok bool) {
			_, leave, ok = a.enter(rangeRequest(client, "GET", span), 3, 0)
			return leave, ok
		}
		read := func(machines int) {
			t.Helper()
			var leaves []func()
			for range machines {
				leave, ok := enter("192.0.2.1", "bytes=0-511")
				if !ok {
					t.Fatal("who is in the middle is refused")
				}
				leaves = append(leaves, leave)
			}
			for _, leave := range leaves {
				leave()
			}
		}
		read(3)
		for range 2 {
			time.Sleep(keepPlace / 2)
			read(2)
			if _, ok := enter("192.0.2.2", ""); ok {
				t.Fatal("the place of one that may come back is given away")
			}
		}
		time.Sleep(time.Second)
		leave, ok := enter("192.0.2.2", "")
		if !ok {
			t.Fatal("the place of one that has gone is kept")
		}
		read(2)
		leave()
	})
}

// TestAdmissionForgets has many clients come and go.
func TestAdmissionForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a admission
		for i := range 1000 {
			limiter, leave, ok := a.enter(rangeRequest(fmt.Sprint("198.51.100.", i), "GET", "bytes=0-511"), 1<<20, 1<<20)
			if !ok {
				t.Fatal("refused")
			}
			limiter.AllowN(time.Now(), paceStep)
			leave()
			time.Sleep(time.Second)
		}
		if n := len(a.clients); n > 2*leastClients || a.active > n {
			t.Errorf("%d clients are remembered, %d places taken, after all have gone", n, a.active)
		}
	})
}

// TestPaceOfRanges reads by small ranges. Each got a limiter of its own, which let the first bytes pass at once.
func TestPaceOfRanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a admission
		begin := time.Now()
		for range 100 {
			limiter, leave, _ := a.enter(rangeRequest("192.0.2.1", "GET", "bytes=0-16383"), 0, 1<<20)
			w := &pacedWriter{httptest.NewRecorder(), t.Context(), limiter}
			if _, err := w.Write(make([]byte, 16<<10)); err != nil {
				t.Fatal(err)
			}
			leave()
		}
		if took := time.Since(begin); took < 1400*time.Millisecond {
			t.Errorf("1.6 MiB take %s at 1 MiB/s", took)
		}
	})
}

// TestSanbootKeepsItsPlace boots a machine from an ISO by ranges, through a server with one place, which another machine
// wants between them.
func TestSanbootKeepsItsPlace(t *testing.T) {
	origin := newImageServer(t, image(1<<20))
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	defer api.Close()
	address := freeAddress(t)
	config := siteConfig(address, api.URL, "store "+filepath.Join(t.TempDir(), "store")+" {\n\t\t\tmin_free 0\n\t\t\tmax_transfers 1\n\t\t}", "allow_origins "+origin.URL)
	if err := load(t, config); err != nil {
		t.Fatal(err)
	}
	defer stopCaddy(t)
	other := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, address)
	}}}
	defer other.CloseIdleConnections()
	url := "http://" + address + "/" + nodeUUID(8) + "/boot_iso"
	for i := range 10 {
		r, got := download(t, url, fmt.Sprintf("Range: bytes=%d-%d", i*512, i*512+511))
		if r.StatusCode != http.StatusPartialContent || len(got) != 512 {
			t.Fatalf("range %d: %s, %d bytes", i, r.Status, len(got))
		}
		for method, want := range map[string]int{http.MethodGet: http.StatusServiceUnavailable, http.MethodHead: http.StatusOK} {
			r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := other.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s of another machine: %s, want %d", method, response.Status, want)
			}
		}
	}
}

// TestPace reads from a file, as an image is, in virtual time.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a admission
		limiter, leave, _ := a.enter(rangeRequest("192.0.2.1", "GET", ""), 0, paceStep)
		defer leave()
		w := &pacedWriter{httptest.NewRecorder(), t.Context(), limiter}
		began := time.Now()
		if n, err := w.ReadFrom(io.LimitReader(zeros{}, 10*paceStep)); n != 10*paceStep || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if took := time.Since(began).Round(time.Second); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("ten seconds' worth took %v", took)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// leavingWriter is a client that leaves with the first bytes that it gets.
type leavingWriter struct {
	*httptest.ResponseRecorder
	leave func()
}

func (w leavingWriter) Write(p []byte) (int, error) {
	w.leave()
	return w.ResponseRecorder.Write(p)
}

// TestPaceOfImages has a client that is to get an image so slowly that only what comes at once does, before it leaves.
func TestPaceOfImages(t *testing.T) {
	t.Parallel()
	content := image(10 * paceStep)
	origin := newImageServer(t, content)
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	t.Cleanup(api.Close)
	e := newStoredEdge(t, api, nil)
	path := "/" + nodeUUID(1) + "/deploy_ramdisk"
	if got := e.get(t, path); got.body != string(content) {
		t.Fatalf("%d, %d bytes", got.status, len(got.body))
	}
	e.handler.pace = 1
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	w := leavingWriter{httptest.NewRecorder(), leave}
	func() {
		defer func() { _ = recover() }() // the answer is cut short
		_ = e.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil), nil)
	}()
	if n := w.Body.Len(); n == 0 || n > paceStep {
		t.Errorf("%d bytes came at once, want some, and %d at most", n, paceStep)
	}
}
