// SPDX-License-Identifier: Apache-2.0

package realrabbit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
	"github.com/ironic-edge/ironic-edge/ironic/notification/brokertest"
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
	// TLSAddress is where it speaks TLS, with a certificate that leads to the one in the file CA.
	TLSAddress, CA string

	dir            string
	name, epmd     string // the node's, and the port of Erlang's name server
	environment    []string
	names, process *daemon.Daemon // Erlang's name server, and the broker
}

// attempts is how often other ports are tried: one that is free may be somebody's a moment later.
const attempts = 5

// Start writes a configuration below dir, which must exist, and runs a broker until Stop. It returns when the broker takes
// connections.
func Start(ctx context.Context, dir string) (*Rabbit, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("RabbitMQ is not installed (run integration/install.d/rabbitmq.sh): %w", err)
	}
	for n := 1; ; n++ {
		r := &Rabbit{dir: filepath.Join(dir, strconv.Itoa(n))}
		err := r.start(ctx)
		if err == nil {
			return r, nil
		}
		taken := r.portTaken()
		if err = errors.Join(err, r.Stop()); n == attempts || !taken {
			return nil, err
		}
	}
}

// start is one attempt, in a directory of its own.
func (r *Rabbit) start(ctx context.Context) error {
	var ports [4]string
	for i := range ports {
		for ports[i] == "" || slices.Contains(ports[:i], ports[i]) {
			var err error
			if ports[i], err = daemon.FreePort(); err != nil {
				return err
			}
		}
	}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return err
	}
	r.Address, r.TLSAddress = net.JoinHostPort("127.0.0.1", ports[0]), net.JoinHostPort("127.0.0.1", ports[3])
	r.name, r.epmd = "edge"+ports[0], ports[2]
	if err := r.configure(); err != nil {
		return err
	}
	r.environment = append(os.Environ(), "HOME="+r.dir, // in which Erlang's cookie is
		"RABBITMQ_MNESIA_BASE="+filepath.Join(r.dir, "mnesia"), "RABBITMQ_LOG_BASE="+filepath.Join(r.dir, "log"),
		"RABBITMQ_CONF_ENV_FILE="+os.DevNull, "RABBITMQ_CONFIG_FILE="+filepath.Join(r.dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(r.dir, "enabled_plugins"),
		"RABBITMQ_NODENAME="+r.name+"@localhost",
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT="+ports[0], "RABBITMQ_DIST_PORT="+ports[1],
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+r.epmd)
	// Erlang would start one that outlives it, also while this one does not answer yet.
	names := exec.Command("epmd", "-port", r.epmd, "-address", "127.0.0.1")
	names.Env = r.environment
	var err error
	if r.names, err = daemon.Start(names, filepath.Join(r.dir, "epmd.output")); err != nil {
		return fmt.Errorf("start epmd: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.names.WaitUntil(limited, func() bool { _, err := r.registered(); return err == nil }); err != nil {
		return fmt.Errorf("start epmd: %w: %s", err, r.Log())
	}
	return r.Up(ctx)
}

// portTaken reports whether the broker or epmd ended because somebody else had one of its ports.
func (r *Rabbit) portTaken() bool {
	log := r.Log()
	return strings.Contains(log, "eaddrinuse") || strings.Contains(log, "ddress already in use")
}

// registered reports whether the name server has the broker's name: by EPMD_NAMES_REQ of Erlang's distribution protocol, a
// length and the tag 110, which is answered with a port and lines of text.
func (r *Rabbit) registered() (bool, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", r.epmd), time.Second)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false, err
	}
	if _, err := conn.Write([]byte{0, 1, 110}); err != nil {
		return false, err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && len(answer) < 4 {
		err = io.ErrUnexpectedEOF
	}
	return strings.Contains(string(answer), "name "+r.name+" at port "), err
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
	authority, err := brokertest.NewAuthority()
	if err != nil {
		return err
	}
	cert, key, err := authority.Issue(nil)
	if err != nil {
		return err
	}
	r.CA = filepath.Join(r.dir, "ca.pem")
	for name, text := range map[string]string{
		"ca.pem": authority.PEM, "cert.pem": cert, "key.pem": key,
		"definitions.json": string(definitions),
		"enabled_plugins":  "[].\n",
		"rabbitmq.conf": "load_definitions = " + filepath.Join(r.dir, "definitions.json") + "\ndisk_free_limit.absolute = 1MB\n" +
			"listeners.ssl.1 = " + r.TLSAddress + "\nssl_options.cacertfile = " + r.CA + "\nssl_options.certfile = " + filepath.Join(r.dir, "cert.pem") +
			"\nssl_options.keyfile = " + filepath.Join(r.dir, "key.pem") + "\nssl_options.verify = verify_none\n",
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

// Up runs a broker that Down ended. It returns when both users may connect and it has said that it is complete: it takes
// connections while it still reads who may do what.
func (r *Rabbit) Up(ctx context.Context) error {
	server := exec.Command(program)
	server.Env = r.environment
	var err error
	before := r.completed()
	if r.process, err = daemon.Start(server, filepath.Join(r.dir, "output")); err != nil {
		return fmt.Errorf("start RabbitMQ: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = r.process.WaitUntil(ctx, func() bool {
		return r.completed() > before && r.takes(IronicUser, IronicPassword) && r.takes(EdgeUser, EdgePassword)
	})
	if err != nil {
		return fmt.Errorf("start RabbitMQ: %w: %s", err, r.Log())
	}
	return nil
}

// completed is how often the broker's log says that it has started.
func (r *Rabbit) completed() int {
	return strings.Count(r.logs(func(text string) string { return text }), "Server startup complete")
}

func (r *Rabbit) takes(user, password string) bool {
	connection, err := amqp.Dial(r.URL("amqp", user, password))
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// Down ends the broker and nothing else, as an outage does. It returns when Up can begin: nothing listens any more, and the
// name server has noticed.
func (r *Rabbit) Down() error {
	if err := r.process.Kill(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	err := daemon.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
		for _, address := range []string{r.Address, r.TLSAddress} {
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				return false, nil
			}
		}
		registered, err := r.registered()
		return !registered, err
	})
	if err != nil {
		return fmt.Errorf("stop RabbitMQ: %w: %s", err, r.Log())
	}
	return nil
}

// Stop ends all that Start began. It may be called more than once.
func (r *Rabbit) Stop() error { return errors.Join(r.process.Kill(), r.names.Kill()) }

// Log is the end of what the broker wrote, for a failure's message.
func (r *Rabbit) Log() string { return r.logs(daemon.Tail) }

// logs are the broker's logs and what it and epmd printed, or a part of each.
func (r *Rabbit) logs(part func(string) string) string {
	names, _ := filepath.Glob(filepath.Join(r.dir, "log", "*.log"))
	var text string
	for _, name := range append(names, filepath.Join(r.dir, "output"), filepath.Join(r.dir, "epmd.output")) {
		b, _ := os.ReadFile(name)
		text += "\n" + filepath.Base(name) + ": " + part(string(b))
	}
	return text
}
