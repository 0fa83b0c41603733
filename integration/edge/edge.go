// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	binary  string
	Admin   string // as Caddy writes addresses
	log     string
	dir     string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

// Start runs the binary with one boot site. Options are lines of the ironic_edge block; {address} in them is where the
// site listens, {port} its port and {dir} the directory.
func Start(ctx context.Context, binary, dir, ironic string, options ...string) (*Edge, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return run(ctx, &Edge{binary: binary, Admin: admin}, dir, ironic, "", options)
}

// StartTraced is Start with Caddy's tracing handler, which the environment tells where to export to.
func StartTraced(ctx context.Context, binary, dir, ironic string, options ...string) (*Edge, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return run(ctx, &Edge{binary: binary, Admin: admin}, dir, ironic, "tracing\n\t", options)
}

// StartWatched is Start with the status page at /edge/, and the admin API at a socket in dir.
func StartWatched(ctx context.Context, binary, dir, ironic string, options ...string) (*Edge, error) {
	e := &Edge{binary: binary, Admin: "unix/" + filepath.Join(dir, "admin.sock")}
	return run(ctx, e, dir, ironic, "ironic_edge_status\n\t", options)
}

// attempts is how often another port is tried: one that is free may be somebody's a moment later.
const attempts = 5

func run(ctx context.Context, e *Edge, dir, ironic, page string, options []string) (*Edge, error) {
	e.log = filepath.Join(dir, "edge.log")
	for left := attempts; ; left-- {
		site, err := freeAddress()
		if err != nil {
			return nil, err
		}
		e.Address = site
		_, port, _ := net.SplitHostPort(site)
		lines := strings.NewReplacer("{address}", site, "{port}", port, "{dir}", dir).Replace(strings.Join(options, "\n\t\t"))
		text := fmt.Sprintf("{\n\tadmin %s\n\tpersist_config off\n\tmetrics\n\tservers {\n\t\tlistener_wrappers {\n\t\t\tironic_edge\n\t\t}\n\t}\n}\nhttp://:%s {\n\tironic_edge {\n\t\tironic %s\n\t\t%s\n\t}\n\t%sreverse_proxy %[3]s\n}\n",
			e.Admin, port, ironic, lines, page)
		err = e.start(ctx, dir, text)
		if err == nil {
			return e, nil
		}
		e.Stop()
		if left == 0 || !strings.Contains(e.Log(), "address already in use") {
			return nil, fmt.Errorf("the edge does not answer: %w: %s", err, e.Log())
		}
	}
}

// start writes the configuration and starts the process.
func (e *Edge) start(ctx context.Context, dir, config string) error {
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(e.log); err != nil { // of an attempt at another port
		return err
	}
	e.dir = dir
	return e.Run(ctx)
}

// Run starts the process and waits until it answers: also again after Kill or Stop, with the same configuration, at the same
// address, with what it left in its directory.
func (e *Edge) Run(ctx context.Context) error {
	log, err := os.OpenFile(e.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	e.cmd = exec.CommandContext(ctx, e.binary, "run", "--adapter", "caddyfile", "--config", filepath.Join(e.dir, "Caddyfile"))
	e.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+e.dir, "XDG_CONFIG_HOME="+e.dir)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := e.cmd.Start(); err != nil {
		return err
	}
	e.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan<- struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}(e.cmd, e.ended)
	over := false
	err = Poll(ctx, func() bool {
		select {
		case <-e.ended:
			over = true
		default:
		}
		return over || e.Get("/boot.ipxe") != ""
	})
	if over {
		return errors.New("it has ended")
	}
	return err
}

// Pid is the number of the process.
func (e *Edge) Pid() int { return e.cmd.Process.Pid }

// Metrics are the edge's metrics.
func (e *Edge) Metrics() string { return e.API("/metrics") }

// Get is what the site has at a path, empty if that is not there.
func (e *Edge) Get(path string) string { return get(http.DefaultTransport, "http://"+e.Address+path) }

// API is what the admin API has at a path, empty if that is not there.
func (e *Edge) API(path string) string {
	socket, ok := strings.CutPrefix(e.Admin, "unix/")
	if !ok {
		return get(http.DefaultTransport, "http://"+e.Admin+path)
	}
	return get(&http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}, "http://127.0.0.1"+path)
}

// Ask runs `ironic-edge` of the binary against this edge and returns what it prints and its exit code, which is negative if
// it did not run.
func (e *Edge) Ask(ctx context.Context, args ...string) (out string, code int) {
	cmd := exec.CommandContext(ctx, e.binary, append([]string{"ironic-edge", "--address", e.Admin}, args...)...)
	b, err := cmd.Output()
	if cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// Log is what the edge has written.
func (e *Edge) Log() string {
	b, _ := os.ReadFile(e.log)
	return string(b)
}

// Stop ends the edge and waits for its end.
func (e *Edge) Stop() {
	if e.ended == nil {
		return
	}
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	<-e.ended
}

// Kill ends the edge as the kernel does when memory is short, and waits for its end.
func (e *Edge) Kill() {
	_ = e.cmd.Process.Kill()
	<-e.ended
}

func get(way http.RoundTripper, url string) string {
	client := http.Client{Timeout: 5 * time.Second, Transport: way}
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

// freeAddress is below the ports that the kernel gives to connections, any of which could take it before the edge does.
func freeAddress() (string, error) {
	for range 100 {
		port := strconv.Itoa(12_000 + rand.N(20_000))
		if l, err := net.Listen("tcp", ":"+port); err == nil {
			return net.JoinHostPort("127.0.0.1", port), l.Close()
		}
	}
	return "", errors.New("no port is free")
}
