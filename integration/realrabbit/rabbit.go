// SPDX-License-Identifier: Apache-2.0

package realrabbit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

// The users. Ironic may do everything.
const (
	IronicUser, IronicPassword = "ironic", "ironic-password"
	EdgeUser, EdgePassword     = "edge", "edge:p@ss/word"
)

const (
	program      = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	startTimeout = 90 * time.Second // 5 to 10 s on an idle machine
)

// Rabbit is a running broker.
type Rabbit struct {
	Address string // host:port

	dir            string
	environment    []string
	names, process *daemon.Daemon // Erlang's name server, and the broker
}

// Start writes a configuration below dir, which must exist, and runs a broker until Stop. It returns when the broker takes
// connections.
func Start(ctx context.Context, dir string) (*Rabbit, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("RabbitMQ is not installed (run integration/install.d/rabbitmq.sh): %w", err)
	}
	var ports [3]string
	for i := range ports {
		var err error
		if ports[i], err = daemon.FreePort(); err != nil {
			return nil, err
		}
	}
	r := &Rabbit{Address: net.JoinHostPort("127.0.0.1", ports[0]), dir: dir}
	if err := r.configure(); err != nil {
		return nil, err
	}
	r.environment = append(os.Environ(), "HOME="+dir, // in which Erlang's cookie is
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_CONF_ENV_FILE="+os.DevNull, "RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_NODENAME=edge"+ports[0]+"@localhost",
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT="+ports[0], "RABBITMQ_DIST_PORT="+ports[1],
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+ports[2])
	// Erlang would start one that outlives it.
	names := exec.Command("epmd", "-port", ports[2], "-address", "127.0.0.1")
	names.Env = r.environment
	var err error
	if r.names, err = daemon.Start(names, filepath.Join(dir, "epmd.output")); err != nil {
		return nil, fmt.Errorf("start epmd: %w", err)
	}
	if err := r.Up(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func (r *Rabbit) configure() error {
	user := func(name, password string) map[string]any {
		salted := append([]byte("salt"), password...)
		sum := sha256.Sum256(salted)
		return map[string]any{"name": name, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "",
			"password_hash": base64.StdEncoding.EncodeToString(append([]byte("salt"), sum[:]...))}
	}
	definitions, err := json.Marshal(map[string]any{
		"vhosts": []any{map[string]any{"name": "/"}},
		"users":  []any{user(IronicUser, IronicPassword), user(EdgeUser, EdgePassword)},
		"permissions": []any{
			map[string]any{"user": IronicUser, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
			map[string]any{"user": EdgeUser, "vhost": "/", "configure": `^amq\.gen-.*$`, "write": `^amq\.gen-.*$`, "read": `^(amq\.gen-.*|ironic)$`},
		},
		"topic_permissions": []any{map[string]any{"user": EdgeUser, "vhost": "/", "exchange": "ironic",
			"write": "^$", "read": `^ironic_versioned_notifications\.`}},
	})
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"definitions.json": string(definitions),
		"enabled_plugins":  "[].\n",
		"rabbitmq.conf":    "load_definitions = " + filepath.Join(r.dir, "definitions.json") + "\ndisk_free_limit.absolute = 1MB\n",
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// URL is the broker's for a user, as oslo.messaging and AMQP libraries take it.
func (r *Rabbit) URL(scheme, user, password string) string {
	return (&url.URL{Scheme: scheme, User: url.UserPassword(user, password), Host: r.Address, Path: "/"}).String()
}

// Up runs a broker that Down ended.
func (r *Rabbit) Up(ctx context.Context) error {
	server := exec.Command(program)
	server.Env = r.environment
	var err error
	if r.process, err = daemon.Start(server, filepath.Join(r.dir, "output")); err != nil {
		return fmt.Errorf("start RabbitMQ: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = r.process.WaitUntil(ctx, func() bool {
		connection, err := amqp.Dial(r.URL("amqp", EdgeUser, EdgePassword))
		if err != nil {
			return false
		}
		_ = connection.Close()
		return true
	})
	if err != nil {
		return fmt.Errorf("start RabbitMQ: %w: %s", err, r.Log())
	}
	return nil
}

// Down ends the broker and nothing else, as an outage does.
func (r *Rabbit) Down() error { return r.process.Kill() }

// Stop ends all that Start began. It may be called more than once.
func (r *Rabbit) Stop() error { return errors.Join(r.process.Kill(), r.names.Kill()) }

// Log is the end of what the broker wrote, for a failure's message.
func (r *Rabbit) Log() string {
	names, _ := filepath.Glob(filepath.Join(r.dir, "log", "*.log"))
	var text string
	for _, name := range append(names, filepath.Join(r.dir, "output")) {
		b, _ := os.ReadFile(name)
		text += "\n" + filepath.Base(name) + ": " + daemon.Tail(string(b))
	}
	return text
}
