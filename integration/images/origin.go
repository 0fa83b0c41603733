// SPDX-License-Identifier: Apache-2.0

package images

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"sync"
)

// Origin is a web server far away. It counts what it sends of each file, and its line can break.
type Origin struct {
	*httptest.Server
	files map[string]string

	mu   sync.Mutex
	sent map[string]int64
	cuts map[string][]int64 // the counts of bytes of a file at which the line breaks yet
}

// NewOrigin serves files by name. The line breaks when so many bytes of a file have been sent.
func NewOrigin(files map[string]string, cuts map[string][]int64) *Origin {
	o := &Origin{files: files, sent: make(map[string]int64), cuts: cuts}
	o.Server = httptest.NewServer(o)
	return o
}

// ServeHTTP serves a file.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	file, err := os.Open(o.files[name])
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Etag", `"`+name+`"`)
	http.ServeContent(&lineWriter{w, o, name}, r, name, info.ModTime(), file)
}

// Sent is how many bytes of a file went over the line.
func (o *Origin) Sent(name string) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent[name]
}

// CutsLeft is how many times the line is going to break yet.
func (o *Origin) CutsLeft() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, c := range o.cuts {
		n += len(c)
	}
	return n
}

// count adds to what was sent, and reports whether the line breaks now.
func (o *Origin) count(name string, n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent[name] += int64(n)
	if cuts := o.cuts[name]; len(cuts) > 0 && o.sent[name] >= cuts[0] {
		o.cuts[name] = cuts[1:]
		return true
	}
	return false
}

type lineWriter struct {
	http.ResponseWriter
	o    *Origin
	name string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if w.o.count(w.name, n) {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	return n, err
}
