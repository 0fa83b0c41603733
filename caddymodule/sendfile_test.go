// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/ironic-edge/ironic-edge/caddymodule/handover"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// sendingWriter stands for net/http's and Caddy's writers, each of which has a limit of its own, and for the connection
// below them.
type sendingWriter struct {
	*httptest.ResponseRecorder
	files int64 // bytes that came as those of a file
}

func (w *sendingWriter) ReadFrom(r io.Reader) (int64, error) {
	inner, left := r, int64(0)
	for {
		l, ok := inner.(*io.LimitedReader)
		if !ok {
			break
		}
		inner, left = l.R, l.N
	}
	sender, ok := inner.(handover.FileSender)
	if !ok {
		return io.Copy(w.ResponseRecorder, r)
	}
	sent := int64(0)
	for sent < left {
		n, err := sender.SendFile((*sendingConnection)(w), left-sent)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// sendingConnection is a connection that looks at what it is to send.
type sendingConnection sendingWriter

func (c *sendingConnection) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseRecorder, r)
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok { // what net's sendfile wants
			c.files += n
		}
	}
	return n, err
}

// TestWarmHitIsSentFromItsFile asks for what is in the store: all of it, and a large range.
func TestWarmHitIsSentFromItsFile(t *testing.T) {
	t.Parallel()
	content := image(5<<20 + 7)
	origin := newImageServer(t, content)
	api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
	t.Cleanup(api.Close)
	e := newStoredEdge(t, api, nil)
	path := "/" + nodeUUID(1) + "/deploy_ramdisk"
	if got := e.get(t, path); got.body != string(content) {
		t.Fatalf("%d, %d bytes", got.status, len(got.body))
	}
	for field, want := range map[string][]byte{"": content, "bytes=100-2000099": content[100:2000100]} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if field != "" {
			r.Header.Set("Range", field)
		}
		w := &sendingWriter{ResponseRecorder: httptest.NewRecorder()}
		if err := e.handler.ServeHTTP(w, r, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.Body.Bytes(), want) || w.files != int64(len(want)) {
			t.Errorf("range %q: %d bytes of %d, %d of them from a file", field, w.Body.Len(), len(want), w.files)
		}
	}
}
