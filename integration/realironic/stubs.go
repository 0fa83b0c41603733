// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// InspectorCallbackRoot is where the inspection service of releases that have one is said to be for agents: Ironic
// refuses a loopback address there. Nothing listens.
const InspectorCallbackRoot = "http://192.0.2.1:5050"

// Stubs is everything around the conductor that is not real: images, agents and the inspection service.
type Stubs struct {
	server *httptest.Server
	held   context.Context // ends the downloads and answers that never end
	end    context.CancelFunc

	mu        sync.Mutex
	agents    map[string]*agent // by node UUID
	downloads map[string]bool   // paths of endless images that are being downloaded
}

func newStubs() *Stubs {
	s := &Stubs{agents: map[string]*agent{}, downloads: map[string]bool{}}
	s.held, s.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("/images/", serveImage)
	mux.HandleFunc("/endless/", s.serveEndless)
	mux.HandleFunc("/agent/{node}/v1/commands/", s.serveAgent)
	mux.HandleFunc("/inspector", s.serveInspector) // itself, too: the inspector's client follows no relative redirect
	mux.HandleFunc("/inspector/", s.serveInspector)
	s.server = httptest.NewServer(mux)
	return s
}

// Close lets go of everything that is held.
func (s *Stubs) Close() {
	s.end()
	s.server.Close()
}

// Image is the URL of a small file. Names are free; a directory (name ends in /) is an index.
func (s *Stubs) Image(name string) string { return s.server.URL + "/images/" + name }

// Endless is the URL of an image whose download starts and never ends.
func (s *Stubs) Endless(name string) string { return s.server.URL + "/endless/" + name }

// downloading says whether the endless image is being downloaded.
func (s *Stubs) downloading(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.downloads[name]
}

// Missing is the URL of an image that is not there.
func (s *Stubs) Missing(name string) string { return s.server.URL + "/missing/" + name }

// InspectorURL is the endpoint of the inspection service.
func (s *Stubs) InspectorURL() string { return s.server.URL + "/inspector" }

// ImageSHA256 is the digest of every file that Image names.
const ImageSHA256 = "eb784da830a6c3f9ebe711f8411439278ac412a7959ff2af92656dd0fb585ee2"

const imageText = "a small image\n"

// modified must not change, for Ironic compares it with that of its copy.
var modified = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func serveImage(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/") {
		// An installation tree: Ironic takes an answer without a length for a path.
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html></html>")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", modified, strings.NewReader(imageText))
}

func (s *Stubs) serveEndless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", "1000000000")
	w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
	if r.Method == http.MethodHead {
		return
	}
	s.mu.Lock()
	s.downloads[strings.TrimPrefix(r.URL.Path, "/endless/")] = true
	s.mu.Unlock()
	// A byte now and then keeps the reader from giving up.
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		if _, err := io.WriteString(w, "."); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		case <-s.held.Done():
			return
		}
	}
}

// serveInspector answers like ironic-inspector while an inspection runs.
func (s *Stubs) serveInspector(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	root := s.InspectorURL()
	switch path := strings.TrimPrefix(r.URL.Path, "/inspector"); {
	case path == "" || path == "/":
		fmt.Fprintf(w, `{"versions":[{"id":"1.18","status":"CURRENT","links":[{"href":"%s/v1","rel":"self"}]}]}`, root)
	case path == "/v1" || path == "/v1/":
		io.WriteString(w, `{"resources":[]}`)
	case strings.HasPrefix(path, "/v1/introspection/") && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(path, "/v1/introspection/"):
		answer := map[string]any{"finished": false, "error": nil, "uuid": strings.TrimPrefix(path, "/v1/introspection/")}
		_ = json.NewEncoder(w).Encode(answer)
	default:
		http.NotFound(w, r)
	}
}
