// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestAnotherNameOfWhatComes asks for files of one origin while the question about one of it is open: another name of that
// one, of which hardly anything is to cross the line, and another file, which is to come whole.
func TestAnotherNameOfWhatComes(t *testing.T) {
	image, file := testBytes(40*testBlock+5), bytes.Repeat([]byte("x"), 20*testBlock)
	begun, second, going := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var asked sync.Map // first Range by path
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request) {
		_, again := asked.LoadOrStore(r.URL.Path, r.Header.Get("Range"))
		if r.URL.Path == "/image/2" && !again {
			close(second)
		}
		served := file
		if strings.HasPrefix(r.URL.Path, "/image/") {
			served = image
		}
		if r.URL.Path == "/image/1" && !again {
			close(begun)
			<-going
		}
		content(served, `"tag"`)(w, r)
	}, func(target *Target) {
		if strings.HasPrefix(target.Key, "/image/") {
			target.Kin = "images"
		}
	})
	var clients sync.WaitGroup
	clients.Go(func() {
		if _, body := e.get(t, "/image/1"); !bytes.Equal(body, image) {
			t.Errorf("the image comes as %d bytes", len(body))
		}
	})
	<-begun
	if _, body := e.get(t, "/file"); !bytes.Equal(body, file) {
		t.Errorf("another file comes as %d bytes", len(body))
	}
	clients.Go(func() {
		if _, body := e.get(t, "/image/2"); !bytes.Equal(body, image) {
			t.Errorf("the image under another name comes as %d bytes", len(body))
		}
	})
	<-second
	close(going)
	clients.Wait()
	for path, want := range map[string]string{"/image/1": "bytes=0-16383", "/image/2": "bytes=0-4095", "/file": "bytes=0-4095"} {
		if got, _ := asked.Load(path); got != want {
			t.Errorf("%s is asked for first as %q, want %q", path, got, want)
		}
	}
	if n := e.store.Stats().Objects; n != 2 {
		t.Errorf("%d objects are kept", n)
	}
}
