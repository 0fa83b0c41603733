// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Config is where Ironic publishes. Two of them that are equal mean the same connection.
type Config struct {
	// Address is the broker's host:port.
	Address string
	// TLS is whether to speak it, and CA the PEM certificates that the broker's must lead to; without: the system's.
	TLS bool
	CA  string
	// User and Password are by whom the broker knows us. They are in no error.
	User, Password string
	// VHost is the broker's virtual host.
	VHost string
	// Exchange and Topic are Ironic's [DEFAULT]control_exchange and versioned_notifications_topics.
	Exchange, Topic string
}

// Handler is told what is heard. All calls come from one goroutine, one after the other.
type Handler interface {
	// Connected: what is published from now on is heard, and what was published since the last connection is lost.
	Connected()
	// Changed: a notification about a node.
	Changed(Change)
	// Ignored: a message that is of no use here, and why.
	Ignored(error)
	// Lost: there is no connection, or no longer, and the next is tried after that time.
	Lost(err error, retry time.Duration)
}

const (
	// After a failure the pause before the next try doubles, from the first to the longest.
	firstRetry   = 500 * time.Millisecond
	longestRetry = 30 * time.Second

	connectTimeout = 15 * time.Second // until the broker has taken us
	heartbeat      = 10 * time.Second // a broker that is silent for three of them is gone
	closeTimeout   = time.Second

	// prefetch bounds the messages that the broker sends before we have taken note of them.
	prefetch = 100
)

// Listen hears notifications until the context ends, connecting again whenever it must.
func Listen(ctx context.Context, c Config, h Handler) {
	pause := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := c.session(ctx, h)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longestRetry {
			pause = firstRetry
		}
		retry := pause/2 + rand.N(pause/2) // so that a region's edges do not come back as one
		pause = min(2*pause, longestRetry)
		h.Lost(explain(err), retry)
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// session is one connection, from its beginning to its end.
func (c *Config) session(ctx context.Context, h Handler) error {
	transport, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer transport.Close()
	// Until all is set up only this ends it early.
	hurry := context.AfterFunc(ctx, func() { _ = transport.Close() })
	defer hurry()
	connection, err := amqp.Open(transport, amqp.Config{
		SASL:       []amqp.Authentication{&amqp.PlainAuth{Username: c.User, Password: c.Password}},
		Vhost:      c.VHost,
		Heartbeat:  heartbeat,
		ChannelMax: 1,
		FrameSize:  128 << 10,
		Locale:     "en_US",
		Properties: amqp.Table{"product": "ironic-edge", "connection_name": "ironic-edge"},
	})
	if err != nil {
		return err
	}
	channel, messages, err := c.subscribe(connection)
	if err != nil {
		_ = connection.CloseDeadline(time.Now().Add(closeTimeout))
		return err
	}
	ended := channel.NotifyClose(make(chan *amqp.Error, 1))
	hurry()
	h.Connected()
	for {
		select {
		case <-ctx.Done():
			_ = connection.CloseDeadline(time.Now().Add(closeTimeout))
			return ctx.Err()
		case m, ok := <-messages:
			if !ok {
				err := ending(ended)
				_ = connection.CloseDeadline(time.Now().Add(closeTimeout))
				return err
			}
			if change, err := Decode(m.Body); err != nil {
				h.Ignored(err)
			} else {
				h.Changed(change)
			}
			// The broker bounds what it sends by what was acknowledged. When this fails the messages end.
			_ = m.Ack(false)
		}
	}
}

// dial connects to the broker. What it returns has a deadline, until the broker has taken us.
func (c *Config) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if !c.TLS {
		return conn, nil
	}
	host, _, _ := net.SplitHostPort(c.Address)
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// subscribe has messages come from a queue of our own. Ironic's queue, which oslo.messaging names after the topic, is for
// one reader, who would lose what we take; and the exchange is declared by who publishes, as its options say: a bind
// needs no more than that it is there.
func (c *Config) subscribe(connection *amqp.Connection) (*amqp.Channel, <-chan amqp.Delivery, error) {
	channel, err := connection.Channel()
	if err != nil {
		return nil, nil, err
	}
	if err := channel.Qos(prefetch, 0, false); err != nil {
		return nil, nil, err
	}
	const durable, autoDelete, exclusive, noWait = false, true, true, false
	queue, err := channel.QueueDeclare("", durable, autoDelete, exclusive, noWait, nil)
	if err != nil {
		return nil, nil, err
	}
	// The routing key is <topic>.<priority> (oslo_messaging/notify/messaging.py).
	if err := channel.QueueBind(queue.Name, c.Topic+".#", c.Exchange, noWait, nil); err != nil {
		if missing := (*amqp.Error)(nil); errors.As(err, &missing) && missing.Code == amqp.NotFound {
			return nil, nil, fmt.Errorf("the broker has no exchange %s: Ironic has published nothing yet", c.Exchange)
		}
		return nil, nil, err
	}
	// Not acknowledged by themselves: then the broker would send without bound.
	const autoAck, noLocal = false, false
	messages, err := channel.Consume(queue.Name, "", autoAck, exclusive, noLocal, noWait, nil)
	return channel, messages, err
}

// ending is why messages ended.
func ending(ended <-chan *amqp.Error) error {
	select {
	case err := <-ended:
		if err != nil {
			return err
		}
		return amqp.ErrClosed
	default:
		return errors.New("the broker deleted our queue")
	}
}

// explain makes an error fit for a log: always the same words for the same cause, and no user's name, which the broker
// puts into its texts.
func explain(err error) error {
	var said *amqp.Error
	if errors.As(err, &said) {
		word, _, _ := strings.Cut(said.Reason, " - ")
		switch said.Code {
		case amqp.AccessRefused:
			if !said.Server { // it hung up where it would have taken us
				return errors.New("the broker does not take the user and the password")
			}
			return errors.New("the broker refuses access: the user may not use the virtual host, make a queue or read the exchange")
		case amqp.FrameError, amqp.ChannelError:
			return errors.New("the connection broke")
		}
		if !said.Server || strings.ContainsAny(word, "' ") {
			word = "without a reason"
		}
		return fmt.Errorf("the broker ended the connection: %d %s", said.Code, word)
	}
	if err := explainTLS(err); err != nil {
		return err
	}
	var name *net.DNSError
	if errors.As(err, &name) {
		return fmt.Errorf("the address of %s cannot be found", name.Name)
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return fmt.Errorf("%s: %w", network.Op, network.Err) // without our own port, which differs each time
	}
	return err
}
