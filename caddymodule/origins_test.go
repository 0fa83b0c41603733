// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironic-edge/ironic-edge/cache/origin"
	"github.com/ironic-edge/ironic-edge/ipxe"
	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// withStore opens a store in a directory of the test's.
func withStore(t *testing.T, e *edge) {
	t.Helper()
	if err := e.handler.startStore(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

// bothWays runs a test without a store and with one.
func bothWays(t *testing.T, test func(t *testing.T, newEdge func(api *ironictest.Server, options func(*Handler)) *edge)) {
	for name, store := range map[string]bool{"streamed": false, "stored": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(api *ironictest.Server, options func(*Handler)) *edge {
				e := newEdgeBefore(t, api, func(h *Handler) {
					if store {
						h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)}
					}
					if options != nil {
						options(h)
					}
				})
				if store {
					withStore(t, e)
				}
				return e
			})
		})
	}
}

// counted is what a counter stands at.
func counted(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// TestReferenceToThisMachine has nodes whose references lead to a server beside the edge, which is for nobody in the rack.
func TestReferenceToThisMachine(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newEdge func(*ironictest.Server, func(*Handler)) *edge) {
		var asked atomic.Int64
		victim := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Write(imageBytes)
		}))
		t.Cleanup(victim.Close)
		byName := strings.Replace(victim.URL, "127.0.0.1", "localhost", 1)
		images := httptest.NewServer(http.RedirectHandler(byName+"/secret", http.StatusFound))
		t.Cleanup(images.Close)
		api := ironictest.Start(ironictest.DemoFleet(images.URL)...)
		t.Cleanup(api.Close)
		e := newEdge(api, nil)
		counter := e.handler.metrics.refusals.WithLabelValues("502", reasonAddress)
		for ref, reason := range map[string]string{
			victim.URL + "/secret":                     reasonAddress,
			byName + "/secret":                         reasonAddress,
			"http://169.254.169.254/latest/meta-data/": reasonAddress,
			"http://[fe80::1]/k":                       reasonAddress,
			"http://0.0.0.0:2019/config/":              reasonAddress,
			images.URL + "/redirect":                   reasonOrigin,
		} {
			node := api.Nodes()[7]
			node.InstanceInfo["boot_iso"] = ref
			api.SetNode(node)
			e.handler.site.forgetNode(node.UUID)
			before := counted(t, counter)
			got := e.get(t, "/"+nodeUUID(8)+"/boot_iso")
			if got.status != http.StatusBadGateway || got.header.Get(reasonHeader) != reason {
				t.Errorf("%s: %d %s, want 502 %s\n%.200s", ref, got.status, got.header.Get(reasonHeader), reason, got.body)
			}
			if reason == reasonAddress && (counted(t, counter) <= before || !strings.Contains(got.body, "allow_origins")) {
				t.Errorf("%s: not counted, or without a remedy: %.200s", ref, got.body)
			}
		}
		if n := asked.Load(); n > 0 {
			t.Errorf("the server was asked %d times", n)
		}
	})
}

// TestNamedOrigins serves images of this machine that the configuration names, in each way in which it can.
func TestNamedOrigins(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(h *Handler, url string){
		"allow_origins":  func(h *Handler, url string) { h.AllowOrigins = []string{url} },
		"conductor_http": func(h *Handler, url string) { h.ConductorHTTP = url },
		"image_map":      func(h *Handler, url string) { h.ImageMap = map[string]string{"file:///": url + "/"} },
		"deploy_kernel": func(h *Handler, url string) {
			h.DeployKernel, h.DeployRamdisk = map[string]string{"": url + "/k"}, map[string]string{"": url + "/r"}
		},
		"rescue_kernel": func(h *Handler, url string) {
			h.RescueKernel, h.RescueRamdisk = map[string]string{"": url + "/k"}, map[string]string{"": url + "/r"}
		},
		"mirror": func(h *Handler, url string) {
			h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)}
			h.Mirrors = []Mirror{{Prefix: "/x/", Origin: url + "/x"}}
		},
		"prefetch": func(h *Handler, url string) {
			h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)}
			h.Prefetch = []string{url + "/agent"}
		},
		"registry": func(h *Handler, url string) {
			h.Store = &Store{Directory: t.TempDir(), MinFree: new(int64)}
			h.Registries = map[string]Registry{strings.TrimPrefix(url, "http://"): {Plain: true}}
		},
		"glance": func(h *Handler, url string) { h.Ironic.Glance = url },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			images := serveImages(t)
			api := ironictest.Start(ironictest.Node{UUID: nodeUUID(1), ProvisionState: "deploying"})
			t.Cleanup(api.Close)
			e := newEdgeBefore(t, api, func(h *Handler) { configure(h, images.URL) })
			if e.handler.Store != nil {
				withStore(t, e)
			}
			node := api.Nodes()[0]
			node.DriverInfo = map[string]any{"deploy_kernel": images.URL + "/k", "deploy_ramdisk": "http://127.0.0.1:1/r"}
			api.SetNode(node)
			if got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel"); got.status != http.StatusOK || got.body != string(imageBytes) {
				t.Errorf("%d with %d bytes, %s", got.status, len(got.body), got.header.Get(reasonHeader))
			}
			if got := e.get(t, "/"+nodeUUID(1)+"/deploy_ramdisk"); got.header.Get(reasonHeader) != reasonAddress {
				t.Errorf("another port of this machine: %d %s", got.status, got.header.Get(reasonHeader))
			}
		})
	}
}

// TestNamedRegistries names registries by the images that are there.
func TestNamedRegistries(t *testing.T) {
	t.Parallel()
	const tls, plain = "oci://registry.example:5000/a@sha256:00", "oci://plain.example/a@sha256:00"
	h := &Handler{Store: &Store{}, prefetchRefs: []string{plain}}
	c := &config{registries: map[string]origin.Registry{"plain.example": {Plain: true}}}
	c.options.Deploy = map[string]ipxe.Images{"": {Kernel: tls, Ramdisk: tls}}
	named := h.namedImages(c)
	for _, want := range []string{"https://registry.example:5000", "http://plain.example"} {
		if !slices.Contains(named, want) {
			t.Errorf("%q lack %s", named, want)
		}
	}
}

// TestRedirects follows them by one rule, with a store and without.
func TestRedirects(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newEdge func(*ironictest.Server, func(*Handler)) *edge) {
		elsewhere := serveImages(t)
		var origin *httptest.Server
		origin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/ipa.kernel":
				http.Redirect(w, r, elsewhere.URL, http.StatusFound)
			case "/ipa.initramfs":
				http.Redirect(w, r, origin.URL+"/end", http.StatusFound)
			default:
				w.Write(imageBytes)
			}
		}))
		t.Cleanup(origin.Close)
		for allowed, want := range map[bool]int{false: http.StatusBadGateway, true: http.StatusOK} {
			reason := map[bool]string{false: reasonOrigin}[allowed] // where it is does not matter
			api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
			t.Cleanup(api.Close)
			e := newEdge(api, func(h *Handler) {
				if allowed {
					h.AllowOrigins = []string{elsewhere.URL}
				}
			})
			if got := e.get(t, "/"+nodeUUID(1)+"/deploy_kernel"); got.status != want || got.header.Get(reasonHeader) != reason {
				t.Errorf("to another origin, allowed %t: %d %q, want %d %q", allowed, got.status, got.header.Get(reasonHeader), want, reason)
			}
			if got := e.get(t, "/"+nodeUUID(1)+"/deploy_ramdisk"); got.status != http.StatusOK {
				t.Errorf("within the origin: %d", got.status)
			}
		}
	})
}

// TestStreamIsChecked has an origin say what its image hashes to, which it sometimes does not.
func TestStreamIsChecked(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256(imageBytes)
	for wrong, whole := range map[string]bool{"": true, "x": false} {
		for _, length := range []bool{true, false} {
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
				body := string(imageBytes)
				if wrong != "" {
					body = wrong + body[1:]
				}
				if length {
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				}
				io.WriteString(w, body)
			}))
			t.Cleanup(origin.Close)
			api := ironictest.Start(ironictest.DemoFleet(origin.URL)...)
			t.Cleanup(api.Close)
			e := newEdgeBefore(t, api, nil)
			response, err := http.Get(e.URL + "/" + nodeUUID(1) + "/deploy_kernel")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if whole != (err == nil && len(body) == len(imageBytes)) || !whole && len(body) >= len(imageBytes) {
				t.Errorf("wrong %q, with its length %t: %d bytes of %d, %v", wrong, length, len(body), len(imageBytes), err)
			}
		}
	}
}

// TestReferenceToTheEdge has an image's reference lead back to the edge, by a way on which no address tells.
func TestReferenceToTheEdge(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newEdge func(*ironictest.Server, func(*Handler)) *edge) {
		var e *edge
		var asked atomic.Int64
		balancer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) > 20 {
				w.WriteHeader(http.StatusLoopDetected) // so that it ends
				return
			}
			_ = e.handler.ServeHTTP(w, r, nil)
		}))
		t.Cleanup(balancer.Close)
		path := "/" + nodeUUID(1) + "/deploy_kernel"
		api := ironictest.Start(ironictest.Node{UUID: nodeUUID(1), ProvisionState: "deploying",
			DriverInfo: map[string]any{"deploy_kernel": balancer.URL + path, "deploy_ramdisk": balancer.URL + path}})
		t.Cleanup(api.Close)
		e = newEdge(api, nil)
		if got := e.get(t, path); got.status != http.StatusBadGateway || asked.Load() != 1 {
			t.Errorf("%d %s after %d times around", got.status, got.header.Get(reasonHeader), asked.Load())
		}
	})
}
