// SPDX-License-Identifier: Apache-2.0

package realironic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

const startTimeout = 90 * time.Second // 4 to 16 s on an idle machine

// Ironic is one running Ironic: its API and its only conductor.
type Ironic struct {
	Release  Release
	Options  Options
	URL      string // of the API, without a version
	HTTPURL  string // [deploy]http_url, at which HTTPRoot is served
	HTTPRoot string // [deploy]http_root
	Conf     string // path of ironic.conf
	Log      string // path of the conductor's and API's log
	Stubs    *Stubs

	dir    string
	files  *httptest.Server
	daemon *daemon.Daemon
	API    *API
}

// Start writes a configuration and a database below dir, which must exist, and runs the release until Stop. It returns
// when the API answers and the conductor has registered. A release that is not installed is an error that says how to
// install it.
func Start(ctx context.Context, r Release, dir string, o Options) (*Ironic, error) {
	ironic, dbsync, err := programs(r)
	if err != nil {
		return nil, err
	}
	port, err := daemon.FreePort()
	if err != nil {
		return nil, err
	}
	i := &Ironic{Release: r, Options: o, URL: "http://127.0.0.1:" + port, HTTPRoot: filepath.Join(dir, "http"),
		Log: filepath.Join(dir, "ironic.log"), dir: dir, Stubs: newStubs()}
	i.API = newAPI(i.URL, o)
	i.files = httptest.NewServer(http.FileServer(http.Dir(i.HTTPRoot)))
	i.HTTPURL = i.files.URL
	if i.Conf, err = writeConf(r, ironic, dir, i.URL, i.HTTPURL, port, i.Stubs, o); err != nil {
		return nil, errors.Join(fmt.Errorf("write configuration of ironic %s: %w", r, err), i.Stop())
	}
	out, err := exec.CommandContext(ctx, dbsync, "--config-file", i.Conf, "create_schema").CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create schema of ironic %s: %w: %s", r, err, daemon.Tail(string(out))), i.Stop())
	}
	if err := i.run(ctx, ironic); err != nil {
		return nil, errors.Join(err, i.Stop())
	}
	return i, nil
}

// Restart stops the process and starts it again on the same port and database.
func (i *Ironic) Restart(ctx context.Context) error {
	if err := i.kill(); err != nil {
		return err
	}
	ironic, _, err := programs(i.Release)
	if err != nil {
		return err
	}
	return i.run(ctx, ironic)
}

// Stop ends the process and the stubs. It may be called more than once.
func (i *Ironic) Stop() error {
	i.Stubs.Close()
	err := i.kill()
	i.files.Close()
	return err
}

func (i *Ironic) run(ctx context.Context, program string) error {
	var err error
	// It forks the conductor.
	if i.daemon, err = daemon.Start(exec.Command(program, "--config-file", i.Conf), filepath.Join(i.dir, "output")); err != nil {
		return fmt.Errorf("start ironic %s: %w", i.Release, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = i.daemon.WaitUntil(ctx, func() bool {
		var drivers struct{ Drivers []struct{ Name string } }
		return i.API.get(ctx, "/v1/drivers", &drivers) == nil && len(drivers.Drivers) > 0
	})
	if err != nil {
		return fmt.Errorf("start ironic %s: %w: %s", i.Release, err, i.LogTail())
	}
	return nil
}

// kill ends the process group that run started.
func (i *Ironic) kill() error {
	if err := i.daemon.Kill(); err != nil {
		return fmt.Errorf("ironic %s: %w", i.Release, err)
	}
	return nil
}

// LogTail is the end of the log and of what the process printed, for a failure's message.
func (i *Ironic) LogTail() string {
	var s strings.Builder
	for _, name := range []string{filepath.Join(i.dir, "output"), i.Log} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		fmt.Fprintf(&s, "\n%s: %s", filepath.Base(name), daemon.Tail(string(b)))
	}
	return s.String()
}

// Python is the interpreter that runs a release.
func Python(r Release) (string, error) {
	ironic, _, err := programs(r)
	return filepath.Join(filepath.Dir(ironic), "python"), err
}

// programs are the paths of a release's ironic and ironic-dbsync.
func programs(r Release) (ironic, dbsync string, err error) {
	bin := "/usr/bin"
	if r != Release21 {
		dir := os.Getenv("IRONIC_EDGE_TEST_DIR")
		if dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", "", err
			}
			dir = filepath.Join(home, ".cache", "ironic-edge-test")
		}
		bin = filepath.Join(dir, "ironic-39.0.0", "bin")
	}
	ironic, dbsync = filepath.Join(bin, "ironic"), filepath.Join(bin, "ironic-dbsync")
	for _, p := range []string{ironic, dbsync} {
		if _, err := os.Stat(p); err != nil {
			return "", "", fmt.Errorf("ironic %s is not installed (run integration/install.d/ironic.sh): %w", r, err)
		}
	}
	return ironic, dbsync, nil
}
