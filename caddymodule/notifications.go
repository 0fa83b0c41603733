// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/ironic-edge/ironic-edge/cache/lookup"
	"github.com/ironic-edge/ironic-edge/caddymodule/api"
	"github.com/ironic-edge/ironic-edge/ironic/notification"
)

// Notifications is where Ironic publishes what changes, over RabbitMQ. The edge hears it by a queue of its own.
type Notifications struct {
	// The broker: amqp://<user>:<password>@<host>[:<port>][/<virtual host>], or amqps:// for TLS. The password must be a
	// placeholder, {env.NAME} or {file./path}, since the configuration can be printed. User and password are taken as
	// they are, without percent-encoding.
	URL string `json:"url"`
	// Ironic's [DEFAULT]control_exchange. Default: ironic.
	Exchange string `json:"exchange,omitempty"`
	// Ironic's [DEFAULT]versioned_notifications_topics, or one of them. Default: ironic_versioned_notifications.
	Topic string `json:"topic,omitempty"`
	// PEM file with the certificates that the broker's certificate must lead to. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
}

func (h *Handler) unmarshalNotifications(d *caddyfile.Dispenser) error {
	h.Notifications = new(Notifications)
	n := h.Notifications
	if err := one(d, &n.URL, brokerGrammar); err != nil {
		return err
	}
	return block(d, "notifications", func(option string) error {
		switch option {
		case "exchange":
			return one(d, &n.Exchange, "<name>")
		case "topic":
			return one(d, &n.Topic, "<name>")
		case "ca_file":
			return one(d, &n.CAFile, "<file>")
		}
		return d.Errf("unknown option %q of notifications; it takes exchange, topic and ca_file", option)
	})
}

const brokerGrammar = "amqp://<user>:{env.NAME}@<host>[:<port>][/<virtual host>]"

// resolveNotifications fills in and checks where notifications come from.
func (h *Handler) resolveNotifications(*config) error {
	h.notifications = nil
	n := h.Notifications
	if n == nil {
		return nil
	}
	c, err := resolveBroker(n.URL)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		option, value, otherwise string
		to                       *string
	}{
		{"exchange", n.Exchange, "ironic", &c.Exchange},
		{"topic", n.Topic, "ironic_versioned_notifications", &c.Topic},
	} {
		filled, err := fill(f.option, cmp.Or(f.value, f.otherwise))
		if err != nil {
			return err
		}
		if *f.to = filled; filled == "" || len(filled) > 200 || strings.ContainsAny(filled, "*# \t\r\n") {
			return optionError(f.option, f.value, errors.New("is no name of at most 200 characters without blanks, * and #"),
				"give the name that Ironic has, by default "+f.otherwise)
		}
	}
	if n.CAFile != "" {
		const remedy = "give a PEM file with the certificate of the authority that the broker's certificate comes from"
		file, err := fill("ca_file", n.CAFile)
		if err != nil {
			return err
		}
		if !c.TLS {
			return optionError("ca_file", n.CAFile, errors.New("is of no use without TLS"), "write the broker's URL with amqps://")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return optionError("ca_file", n.CAFile, errors.New("cannot be read"), remedy)
		}
		if c.CA = string(text); !x509.NewCertPool().AppendCertsFromPEM(text) {
			return optionError("ca_file", n.CAFile, errors.New("has no certificate in it"), remedy)
		}
	}
	h.notifications = c
	return nil
}

// resolveBroker reads a broker's URL. Its parts are filled in one by one: a secret may have any character in it, and is in
// no error.
func resolveBroker(text string) (*notification.Config, error) {
	const remedy = "write: notifications " + brokerGrammar
	scheme, rest, _ := strings.Cut(text, "://")
	at := strings.LastIndexByte(rest, '@')
	user, password, _ := strings.Cut(rest[:max(at, 0)], ":")
	if password != "" && !isSecretPlaceholder(password) || at < 0 && strings.Contains(text, "@") {
		return nil, fmt.Errorf("%s: option notifications: the password stands in clear in the configuration, which can be printed; "+
			"give it as {env.NAME} or {file./path}, in: notifications %s", directive, brokerGrammar)
	}
	bad := func(problem string) error { return optionError("notifications", text, errors.New(problem), remedy) }
	if scheme != "amqp" && scheme != "amqps" {
		return nil, bad("is no amqp or amqps URL")
	}
	if user == "" || password == "" {
		return nil, bad("has no user and password")
	}
	c := &notification.Config{TLS: scheme == "amqps"}
	var err error
	if c.User, err = fill("notifications", user); err != nil {
		return nil, err
	}
	if c.Password, err = fill("notifications", password); err != nil {
		return nil, err
	}
	place, err := fill("notifications", rest[at+1:])
	if err != nil {
		return nil, err
	}
	u, err := url.Parse("amqp://" + place)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, bad("is no URL of a broker, which has a host, a port and a virtual host at most")
	}
	port := "5672"
	if c.TLS {
		port = "5671"
	}
	c.Address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	c.VHost = cmp.Or(strings.TrimPrefix(u.Path, "/"), "/")
	if c.User == "" || c.Password == "" {
		return nil, bad("has an empty user or password behind its placeholders")
	}
	if len(c.VHost) > 255 {
		return nil, bad("has a virtual host of more than 255 characters")
	}
	return c, nil
}

// feed is what a site hears of changes in its Ironic. It has one connection however many generations of the configuration
// there are.
type feed struct {
	site *site

	mu     sync.Mutex
	users  []*Handler // that have started and want it
	config notification.Config
	stop   func() // ends the connection and returns when it has ended; nil: there is none

	logger atomic.Pointer[zap.Logger] // of the user that rules
	since  atomic.Int64               // Unix time in nanoseconds of the connection; 0: there is none
	last   atomic.Int64               // that of the last message
	why    atomic.Pointer[string]     // there is no connection; nil: it has not been tried yet

	// Only for the goroutine of the connection.
	told       string // what the log was last told about a connection that is not there
	unreadable bool   // the log was told that there are messages which cannot be read
}

// use has the feed follow a handler's options, if it has any.
func (f *feed) use(h *Handler) {
	if h.notifications == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users = append(f.users, h)
	f.followLocked()
}

// leave takes back what a handler gave to use. Without users the connection ends.
func (f *feed) leave(h *Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.users, h); i >= 0 {
		f.users = slices.Delete(f.users, i, i+1)
		f.followLocked()
	}
}

// followLocked connects by the options of the first user. All of one configuration have the same; so while there are two
// configurations those of the older one rule, and a new one that cannot start has interrupted nothing.
func (f *feed) followLocked() {
	if len(f.users) == 0 {
		f.endLocked()
		return
	}
	h := f.users[0]
	f.logger.Store(h.logger)
	if f.stop != nil && f.config == *h.notifications {
		return
	}
	f.endLocked()
	f.config, f.told = *h.notifications, ""
	collectors.brokers.WithLabelValues("wanted").Inc()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // ends with the context
		defer close(ended)
		notification.Listen(ctx, *h.notifications, f)
	}()
	f.stop = func() {
		cancel()
		<-ended
	}
}

// endLocked ends the connection, if there is one. It holds no lock that the connection's goroutine takes.
func (f *feed) endLocked() {
	if f.stop == nil {
		return
	}
	f.stop()
	f.stop = nil
	f.disconnected()
	collectors.brokers.WithLabelValues("wanted").Dec()
}

func (f *feed) disconnected() {
	if f.since.Swap(0) != 0 {
		collectors.brokers.WithLabelValues("connected").Dec()
	}
}

// view is what the API shows.
func (f *feed) view() *api.Notifications {
	f.mu.Lock()
	v := &api.Notifications{Broker: f.config.Address}
	f.mu.Unlock()
	at := func(n int64) *time.Time {
		if n == 0 {
			return nil
		}
		t := time.Unix(0, n)
		return &t
	}
	v.Since, v.Last = at(f.since.Load()), at(f.last.Load())
	v.Connected = v.Since != nil
	if why := f.why.Load(); why != nil && !v.Connected {
		v.Reason = *why
	}
	return v
}

// terms are those by which a handler keeps what it knows of nodes. A node_ttl that counts on notifications is not to be
// had without them.
func (f *feed) terms(h *Handler, terms *lookup.Terms[*knownNode]) *lookup.Terms[*knownNode] {
	if h.notifications == nil || f.since.Load() != 0 {
		return terms
	}
	short := *terms
	short.Value, short.Negative = min(short.Value, defaultNodeTTL), min(short.Negative, defaultNegativeTTL)
	return &short
}

// Connected has all that is known asked for anew: there may have been notifications that nobody heard.
func (f *feed) Connected() {
	f.site.nodes.Expire()
	f.since.Store(time.Now().UnixNano())
	f.told, f.unreadable = "", false
	collectors.brokers.WithLabelValues("connected").Inc()
	f.logger.Load().Info("hearing Ironic's notifications", zap.String("broker", f.config.Address),
		zap.String("exchange", f.config.Exchange), zap.String("topic", f.config.Topic))
}

// Changed makes stale what a notification is about.
func (f *feed) Changed(c notification.Change) {
	f.last.Store(time.Now().UnixNano())
	collectors.notifications.WithLabelValues(c.Object, "applied").Inc()
	f.site.changed(c)
}

// Ignored counts a message that is of no use.
func (f *feed) Ignored(err error) {
	f.last.Store(time.Now().UnixNano())
	if errors.Is(err, notification.ErrOther) {
		collectors.notifications.WithLabelValues("other", "ignored").Inc()
		return
	}
	collectors.notifications.WithLabelValues("unknown", "unreadable").Inc()
	if !f.unreadable {
		f.unreadable = true
		f.logger.Load().Warn("a message among Ironic's notifications cannot be read; it and its like are counted and left",
			zap.String("broker", f.config.Address), zap.Error(err))
	}
}

// Lost tells the log, once for each cause.
func (f *feed) Lost(err error, retry time.Duration) {
	f.disconnected()
	if f.told == err.Error() {
		return
	}
	why := err.Error()
	f.told = why
	f.why.Store(&why)
	f.logger.Load().Warn("Ironic's notifications are not heard; what is known of nodes is good for seconds only until they are, and the broker is tried again and again",
		zap.String("broker", f.config.Address), zap.Error(err), zap.Duration("retry_in", retry))
}

var _ notification.Handler = (*feed)(nil)
