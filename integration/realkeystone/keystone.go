// SPDX-License-Identifier: Apache-2.0

package realkeystone

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

const startTimeout = 60 * time.Second // 2 s on an idle machine

// What Debian's python3-keystone and uWSGI install.
const (
	manageProgram = "/usr/bin/keystone-manage"
	wsgiProgram   = "/usr/bin/keystone-wsgi-public"
	serverProgram = "/usr/bin/uwsgi_python3"
)

// Keystone is one running Keystone.
type Keystone struct {
	URL string // of the Identity API, without a version

	dir, port, conf string
	daemon          *daemon.Daemon
	admin           string // a token for the whole system
	service         string // id of the catalogue's service
}

// Start writes a configuration, keys and a database below dir, which must exist, and runs Keystone until Stop. It returns
// when Keystone has its accounts. A Keystone that is not installed is an error that says how to install it.
func Start(ctx context.Context, dir string) (*Keystone, error) {
	for _, p := range []string{manageProgram, wsgiProgram, serverProgram} {
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("keystone is not installed (run integration/install.d/keystone.sh): %w", err)
		}
	}
	port, err := daemon.FreePort()
	if err != nil {
		return nil, err
	}
	k := &Keystone{URL: "http://127.0.0.1:" + port, dir: dir, port: port, conf: filepath.Join(dir, "keystone.conf")}
	if err := k.writeConf(); err != nil {
		return nil, fmt.Errorf("write configuration of keystone: %w", err)
	}
	// Those who check tokens look for Keystone itself in the catalogue, too.
	bootstrap := []string{"bootstrap", "--bootstrap-public-url", k.URL, "--bootstrap-internal-url", k.URL}
	for _, args := range [][]string{{"db_sync"}, bootstrap} {
		cmd := exec.CommandContext(ctx, manageProgram, append([]string{"--config-file", k.conf}, args...)...)
		cmd.Env = append(os.Environ(), "OS_BOOTSTRAP_PASSWORD="+adminPassword)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("keystone-manage %s: %w: %s", args[0], err, daemon.Tail(string(out)))
		}
	}
	// A process of Keystone's may read on, long after its answer, and must not lock the others out.
	out, err := exec.CommandContext(ctx, "/usr/bin/python3", "-c",
		"import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('pragma journal_mode=wal')", k.database()).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("prepare keystone's database: %w: %s", err, out)
	}
	if err := k.Restart(ctx); err != nil {
		return nil, errors.Join(err, k.Stop())
	}
	if err := k.populate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("populate keystone: %w", err), k.Stop())
	}
	return k, nil
}

func (k *Keystone) writeConf() error {
	keys := filepath.Join(k.dir, "fernet-keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return err
	}
	// 0 is the key that the next rotation would promote, 1 the one in use (keystone/common/fernet_utils.py: FernetUtils).
	for _, name := range []string{"0", "1"} {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		if err := os.WriteFile(filepath.Join(keys, name), []byte(base64.URLEncoding.EncodeToString(key)), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(k.conf, []byte(strings.Join([]string{
		"[DEFAULT]",
		"log_file = " + k.logFile(),
		"[database]",
		"connection = sqlite:///" + k.database() + "?timeout=60",
		"[fernet_tokens]",
		"key_repository = " + keys,
		"[identity]",
		"password_hash_rounds = 4", // the least that bcrypt has
		"",
	}, "\n")), 0o600)
}

// Restart stops Keystone, unless Kill has done that, and starts it again on the same port and database.
func (k *Keystone) Restart(ctx context.Context) error {
	if err := k.Kill(); err != nil {
		return err
	}
	cmd := exec.Command(serverProgram, "--http-socket", "127.0.0.1:"+k.port, "--wsgi-file", wsgiProgram, "--master", "--die-on-term",
		"--need-app", "--single-interpreter",
		"--processes", "2", // not threads, between which SQLite's connections cannot be passed
		"--add-header", "Connection: close") // which it does, and without this does not say
	cmd.Env = append(os.Environ(), "OS_KEYSTONE_CONFIG_FILES="+k.conf)
	var err error
	if k.daemon, err = daemon.Start(cmd, k.outputFile()); err != nil {
		return fmt.Errorf("start keystone: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := k.daemon.WaitUntil(ctx, func() bool { return k.do(ctx, http.MethodGet, "/v3", nil, nil) == nil }); err != nil {
		return fmt.Errorf("start keystone: %w: %s", err, k.LogTail())
	}
	return nil
}

// Kill ends the process, as an outage does. Restart brings it back.
func (k *Keystone) Kill() error {
	if err := k.daemon.Kill(); err != nil {
		return fmt.Errorf("keystone: %w", err)
	}
	return nil
}

// Stop ends the process. It may be called more than once.
func (k *Keystone) Stop() error { return k.Kill() }

func (k *Keystone) database() string   { return filepath.Join(k.dir, "keystone.sqlite") }
func (k *Keystone) logFile() string    { return filepath.Join(k.dir, "keystone.log") }
func (k *Keystone) outputFile() string { return filepath.Join(k.dir, "output") }

// LogTail is the end of the log and of what the process printed, for a failure's message.
func (k *Keystone) LogTail() string {
	var s strings.Builder
	for _, name := range []string{k.outputFile(), k.logFile()} {
		if b, err := os.ReadFile(name); err == nil {
			fmt.Fprintf(&s, "\n%s: %s", filepath.Base(name), daemon.Tail(string(b)))
		}
	}
	return s.String()
}
