// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
)

// edgeNames returns what the edges of a configuration are called: by public_url, or without it by the address of their
// site. Edges that would be called the same have their site's address, their Ironic and a hash of their options added, as far
// as it takes. In which order they stand in the configuration does not matter, but for edges that differ in nothing. It tells
// the handlers, too; as requests may come before all has started, whoever reads their names asks for all first.
func (a *App) edgeNames() []string {
	var at map[*Handler]string
	if app, err := a.ctx.AppIfConfigured("http"); err == nil {
		at = siteAddresses(app.(*caddyhttp.App))
	}
	names, rest := make([]string, len(a.handlers)), make([][]string, len(a.handlers))
	for i, h := range a.handlers {
		parts := []string{h.publicURL, at[h], h.site.name, h.digest()}
		parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
		names[i], rest[i] = parts[0], parts[1:]
	}
	for {
		alike := make(map[string]int)
		for _, name := range names {
			alike[name]++
		}
		longer := false
		for i, name := range names {
			if alike[name] > 1 && len(rest[i]) > 0 {
				names[i], rest[i], longer = name+" "+rest[i][0], rest[i][1:], true
			}
		}
		if !longer {
			break
		}
	}
	for i, name := range names {
		if n := slices.Index(names, name); n < i {
			names[i] = name + " #" + strconv.Itoa(i+1)
		}
	}
	for i, h := range a.handlers {
		h.name = names[i]
	}
	return names
}

// digest is a short hash of the options.
func (h *Handler) digest() string {
	text, err := json.Marshal(h)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// siteAddresses are the addresses of the sites in which handlers stand, as a Caddyfile has them; the first in the alphabet
// where there are several.
func siteAddresses(app *caddyhttp.App) map[*Handler]string {
	at := make(map[*Handler]string)
	for _, server := range app.Servers {
		var listens []*caddy.NetworkAddress
		for _, text := range server.Listen {
			if address, err := caddy.ParseNetworkAddress(text); err == nil {
				listens = append(listens, &address)
			}
		}
		scheme := "http"
		if len(server.TLSConnPolicies) > 0 {
			scheme = "https"
		}
		eachSite(server.Routes, []string{""}, func(h *Handler, hosts []string) {
			for _, listen := range listens {
				for _, host := range hosts {
					if address := siteAddress(scheme, host, listen); at[h] == "" || address < at[h] {
						at[h] = address
					}
				}
			}
		})
	}
	return at
}

// siteAddress is a site's address. Host is the one that it is for; empty: any.
func siteAddress(scheme, host string, listen *caddy.NetworkAddress) string {
	if listen.IsUnixNetwork() || listen.IsFdNetwork() {
		return listen.String()
	}
	if host == "" {
		host = listen.Host
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(int(listen.StartPort)))}
	if host != "" && port(&url.URL{Scheme: scheme}) == listen.StartPort {
		u.Host = host
	}
	return u.String()
}

// eachSite calls do with each handler and the hosts that its routes are for.
func eachSite(routes caddyhttp.RouteList, hosts []string, do func(*Handler, []string)) {
	for _, route := range routes {
		hosts := hosts
		for _, set := range route.MatcherSets {
			for _, m := range set {
				if named, ok := m.(*caddyhttp.MatchHost); ok && len(*named) > 0 {
					hosts = *named
				}
			}
		}
		for _, handler := range route.Handlers {
			switch handler := handler.(type) {
			case *caddyhttp.Subroute:
				eachSite(handler.Routes, hosts, do)
			case *Handler:
				do(handler, hosts)
			}
		}
	}
}

// edgeCollector tells which edges run. There is one in a process, as with the other collectors.
type edgeCollector struct{ info *prometheus.Desc }

func newEdgeCollector() *edgeCollector {
	return &edgeCollector{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "info"),
		"Always 1; the edges that run, as the commands and the status page call them, and the Ironic of each.", []string{"edge", "ironic", "version"}, nil)}
}

// Describe tells which metrics there are.
func (c *edgeCollector) Describe(to chan<- *prometheus.Desc) { to <- c.info }

// Collect tells their values. An edge that is in the old and the new configuration, while one takes over, is one.
func (c *edgeCollector) Collect(to chan<- prometheus.Metric) {
	sites.Range(func(_, value any) bool {
		s := value.(*site)
		for _, name := range s.boots.edges() {
			to <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1, name, s.name, version())
		}
		return true
	})
}

// edges are the names of those that run.
func (t *timeline) edges() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.running {
		if !slices.Contains(names, h.name) {
			names = append(names, h.name)
		}
	}
	return names
}
