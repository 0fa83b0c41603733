// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/ironic-edge/ironic-edge/ironic/ironictest"
)

// cacheServer is a cache before an origin of its own.
type cacheServer struct {
	*process
	name   string
	origin *origin
	base   string // URL below which the origin's files are
	nodes  []string
	admin  string
}

// nodeCount is how many machines start at once.
const nodeCount = 40

// perNode is the URL of each machine for one file.
func (s *cacheServer) perNode(f *file) []string {
	urls := make([]string, nodeCount)
	for i := range urls {
		urls[i] = s.base + f.name + "/" + strconv.Itoa(i)
	}
	return urls
}

// serve writes a configuration and starts a server with it.
func (s *cacheServer) serve(ctx context.Context, sign syscall.Signal, config, text string, command ...string) error {
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	var err error
	if s.process, err = start(ctx, sign, command...); err != nil {
		return err
	}
	if err := answers(ctx, s.base+smallFile); err != nil {
		s.stop()
		return fmt.Errorf("%s: %w: %s", s.name, err, s.out.Bytes())
	}
	return nil
}

// smallFile tells that a server is up.
const smallFile = "small"

// startNginxCache runs nginx with sendfile, and a cache of slices or of whole files, in which one request at a time fills
// an entry.
func startNginxCache(ctx context.Context, dir string, o *origin, slices bool) (*cacheServer, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	name, extra := "nginx, whole files", ""
	if slices {
		name = "nginx, slice 4m"
		extra = `slice 4m; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range; proxy_cache_valid 200 206 1d;`
	}
	text := fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s/pid; error_log %[1]s/error.log crit; user root;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=1000;
client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
proxy_cache_path %[1]s/cache keys_zone=images:8m max_size=20g use_temp_path=off;
upstream origin { server %[3]s; keepalive 32; }
server { listen %[2]s; location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_cache images; proxy_cache_valid 200 1d; proxy_cache_lock on; proxy_cache_lock_timeout 120s; proxy_cache_lock_age 120s; %[4]s } } }
`, dir, address, o.url[len("http://"):], extra)
	config := filepath.Join(dir, "nginx.conf")
	s := &cacheServer{name: name, origin: o, base: "http://" + address + "/"}
	return s, s.serve(ctx, syscall.SIGINT, config, text, "nginx", "-c", config, "-p", dir)
}

// startVarnish runs varnish with its storage in a file. It streams what it fetches.
func startVarnish(ctx context.Context, dir string, o *origin) (*cacheServer, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := splitURL(o.url)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`vcl 4.1;
backend default { .host = "%s"; .port = "%s"; }
sub vcl_backend_response { set beresp.ttl = 1d; set beresp.do_stream = true; }
`, host, port)
	config := filepath.Join(dir, "default.vcl")
	s := &cacheServer{name: "varnish, streaming", origin: o, base: "http://" + address + "/"}
	return s, s.serve(ctx, syscall.SIGTERM, config, text, "varnishd", "-F", "-j", "none", "-n", filepath.Join(dir, "work"),
		"-a", address, "-f", config, "-s", "file,"+filepath.Join(dir, "storage")+",8g")
}

// startEdgeCache runs the binary as a mirror of the origin, and as the boot server of nodes that have one ramdisk.
func startEdgeCache(ctx context.Context, dir, binary string, o *origin, ramdisk *file) (*cacheServer, func(), error) {
	fleet := make([]ironictest.Node, nodeCount)
	s := &cacheServer{name: "ironic-edge", origin: o}
	var addresses [2]string
	for i := range addresses {
		var err error
		if addresses[i], err = freeAddress(); err != nil {
			return nil, nil, err
		}
	}
	s.base, s.admin = "http://"+addresses[0]+"/files/", "http://"+addresses[1]
	for i := range fleet {
		uuid := fmt.Sprintf("6d4c7e01-1700-4000-8000-%012d", i+1)
		fleet[i] = ironictest.Node{UUID: uuid, ProvisionState: "wait call-back", DriverInfo: map[string]any{
			"deploy_kernel": o.url + "/" + smallFile, "deploy_ramdisk": o.url + "/" + ramdisk.name}}
		s.nodes = append(s.nodes, "http://"+addresses[0]+"/"+uuid+"/deploy_ramdisk")
	}
	ironic := ironictest.Start(fleet...)
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf(imagesCaddyfile, addresses[1], addresses[0], ironic.URL, filepath.Join(dir, "store"), o.url)
	err := s.serve(ctx, syscall.SIGTERM, config, text, binary, "run", "--adapter", "caddyfile", "--config", config)
	if err != nil {
		ironic.Close()
	}
	return s, ironic.Close, err
}

const imagesCaddyfile = `{
	admin %[1]s
	persist_config off
	log {
		level ERROR
	}
	servers {
		listener_wrappers {
			ironic_edge
		}
	}
}
http://%[2]s {
	ironic_edge {
		ironic %[3]s
		public_url http://%[2]s
		store %[4]s
		mirror /files/ %[5]s
	}
}
`
