// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startNginx serves a directory on loopback with two workers, and returns its process and two URLs: of a site that is as Debian's
// nginx.conf and default site have it, and of one that is as lean as nginx can be told to be, without a log, with files that
// stay open and connections that are kept for ever.
func startNginx(ctx context.Context, dir string) (url, lean string, pid int, stop func(), err error) {
	var addresses [2]string
	for i := range addresses {
		if addresses[i], err = freeAddress(); err != nil {
			return "", "", 0, nil, err
		}
	}
	conf := fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s/nginx.pid; error_log %[1]s/error.log; user root;
events { worker_connections 768; }
http { sendfile on; tcp_nopush on; types_hash_max_size 2048; default_type application/octet-stream; access_log %[1]s/access.log; gzip on;
client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
server { listen %[2]s; root %[1]s; location / { try_files $uri $uri/ =404; } }
server { listen %[3]s; root %[1]s; access_log off; gzip off; keepalive_requests 100000000; open_file_cache max=100; } }
`, dir, addresses[0], addresses[1])
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return "", "", 0, nil, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-c", file, "-p", dir)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return "", "", 0, nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	url, lean = "http://"+addresses[0], "http://"+addresses[1]
	if err := answers(ctx, url+"/script"); err != nil {
		stop()
		return "", "", 0, nil, err
	}
	return url, lean, cmd.Process.Pid, stop, nil
}

// answers waits until a URL is answered with 200.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", url, ctx.Err())
		case <-tick.C:
		}
	}
}
