// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Build compiles the binary into dir.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "ironic-edge")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/ironic-edge/ironic-edge/cmd/xcaddy-build")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return binary, nil
}

// Edge is a running binary.
type Edge struct {
	Address string // host:port on loopback
	Admin   string // likewise
	log     string
	command []string
	dir     string
	cmd     *exec.Cmd
}

// Start runs the binary with one boot site. Options are lines of the ironic_edge block; {address} in them is where the
// site listens.
func Start(ctx context.Context, binary, dir, ironic string, options ...string) (*Edge, error) {
	return run(ctx, binary, dir, ironic, "", options)
}

// StartTraced is Start with Caddy's tracing handler, which the environment tells where to export to.
func StartTraced(ctx context.Context, binary, dir, ironic string, options ...string) (*Edge, error) {
	return run(ctx, binary, dir, ironic, "\ttracing\n", options)
}

func run(ctx context.Context, binary, dir, ironic, directives string, options []string) (*Edge, error) {
	site, err := freeAddress()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	e := &Edge{Address: site, Admin: admin, log: filepath.Join(dir, "edge.log")}
	_, port, _ := net.SplitHostPort(site)
	lines := strings.NewReplacer("{address}", site, "{port}", port).Replace(strings.Join(options, "\n\t\t"))
	config := filepath.Join(dir, "Caddyfile")
	text := fmt.Sprintf("{\n\tadmin %s\n\tpersist_config off\n\tmetrics\n\tservers {\n\t\tlistener_wrappers {\n\t\t\tironic_edge\n\t\t}\n\t}\n}\nhttp://:%s {\n%s\tironic_edge {\n\t\tironic %s\n\t\t%s\n\t}\n\treverse_proxy %[4]s\n}\n",
		admin, port, directives, ironic, lines)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	e.dir, e.command = dir, []string{binary, "run", "--adapter", "caddyfile", "--config", config}
	if err := e.Run(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Run starts the binary again after Kill or Stop: with the same configuration, at the same address, with what it left in its
// directory.
func (e *Edge) Run(ctx context.Context) error {
	log, err := os.OpenFile(e.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	e.cmd = exec.CommandContext(ctx, e.command[0], e.command[1:]...)
	e.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+e.dir, "XDG_CONFIG_HOME="+e.dir)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := e.cmd.Start(); err != nil {
		return err
	}
	if err := Poll(ctx, func() bool { return e.get("http://"+e.Address+"/boot.ipxe") != "" }); err != nil {
		e.Stop()
		return fmt.Errorf("the edge does not answer: %w: %s", err, e.Log())
	}
	return nil
}

// Pid is the number of the process.
func (e *Edge) Pid() int { return e.cmd.Process.Pid }

// Metrics are the edge's metrics.
func (e *Edge) Metrics() string { return e.get("http://" + e.Admin + "/metrics") }

// Log is what the edge has written.
func (e *Edge) Log() string {
	b, _ := os.ReadFile(e.log)
	return string(b)
}

// Stop ends the edge and waits for its end.
func (e *Edge) Stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	_ = e.cmd.Wait()
}

// Kill ends the edge as the kernel does when memory is short, and waits for its end.
func (e *Edge) Kill() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

func (e *Edge) get(url string) string {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(b)
}

// Poll waits until a condition holds.
func Poll(ctx context.Context, holds func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
