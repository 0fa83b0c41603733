// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ironic-edge/ironic-edge/ironic/notification/brokertest"
)

// recorder writes down what it is told, one line each.
type recorder struct {
	told    chan string
	retries chan time.Duration
}

func newRecorder() *recorder {
	return &recorder{make(chan string, 1000), make(chan time.Duration, 1000)}
}

func (r *recorder) Connected()        { r.told <- "connected" }
func (r *recorder) Changed(c Change)  { r.told <- "changed " + c.Object + " " + c.Node }
func (r *recorder) Ignored(err error) { r.told <- "ignored: " + err.Error() }
func (r *recorder) Lost(err error, retry time.Duration) {
	r.told <- "lost: " + err.Error()
	r.retries <- retry
}

// want returns the next line, which must begin so.
func (r *recorder) want(t *testing.T, begin string) string {
	t.Helper()
	select {
	case got := <-r.told:
		if !strings.HasPrefix(got, begin) {
			t.Fatalf("%q, want %q", got, begin)
		}
		return got
	case <-time.After(time.Minute):
		t.Fatalf("nothing is told, want %q", begin)
		return ""
	}
}

// until skips lines to the first that begins so.
func (r *recorder) until(t *testing.T, begin string) {
	t.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case got := <-r.told:
			if strings.HasPrefix(got, begin) {
				return
			}
		case <-deadline:
			t.Fatalf("%q is not told", begin)
		}
	}
}

const (
	exchange = "ironic"
	topic    = "ironic_versioned_notifications"
	someNode = "6d4c7e01-1700-4000-8000-000000000001"
)

func configOf(b *brokertest.Broker) Config {
	return Config{Address: b.Address, User: b.User, Password: b.Password, VHost: "/", Exchange: exchange, Topic: topic}
}

// listen hears until the test ends, and returns what ends it before.
func listen(t *testing.T, c Config) (*recorder, func()) {
	t.Helper()
	r := newRecorder()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Listen(ctx, c, r)
	}()
	stop := func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return r, stop
}

func changeOf(node string) []byte {
	return []byte(message("baremetal.node.update.end", `{"uuid": "`+node+`"}`))
}

func TestListen(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, exchange)
	heard, stop := listen(t, configOf(broker))
	heard.want(t, "connected")
	for _, priority := range []string{"info", "warn", "error"} {
		if n := broker.Publish(exchange, topic+"."+priority, changeOf(someNode)); n != 1 {
			t.Fatalf("%s: heard by %d", priority, n)
		}
		heard.want(t, "changed node "+someNode)
	}
	broker.Publish(exchange, topic+".info", []byte("rubbish"))
	heard.want(t, "ignored: it is not JSON")
	broker.Publish(exchange, topic+".info", changeOf(someNode)) // it goes on, with the largest that it reads, too
	heard.want(t, "changed node")
	large := message("baremetal.node.update.end", `{"uuid": "`+someNode+`", "extra": "`+strings.Repeat("x", MaxMessage-1000)+`"}`)
	broker.Publish(exchange, topic+".info", []byte(large))
	heard.want(t, "changed node")
	if n := broker.Publish("nova", topic+".info", changeOf(someNode)) + broker.Publish(exchange, "notifications.info", changeOf(someNode)); n != 0 {
		t.Errorf("%d messages are heard that are not Ironic's versioned notifications", n)
	}
	for n := range 5 * prefetch { // a broker sends no more while so many are not acknowledged
		broker.Publish(exchange, topic+".info", changeOf(someNode))
		heard.want(t, "changed node")
		waitFor(t, fmt.Sprintf("message %d is acknowledged", n), func() bool { return broker.Unacknowledged() == 0 })
	}
	stop()
	waitFor(t, "the broker has no consumer", func() bool { return broker.Consumers() == 0 })
	if n := broker.Accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so: " + what)
		}
	}
}

// TestListenAgain breaks the connection in the ways that it can break.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t)
	heard, _ := listen(t, configOf(broker))
	heard.want(t, "lost: the broker has no exchange ironic")
	broker.Declare(exchange)
	heard.until(t, "connected")
	broker.Down()
	heard.want(t, "lost: ")
	broker.Up(t)
	heard.until(t, "connected")
	broker.Cancel()
	heard.want(t, "lost: the broker deleted our queue")
	heard.until(t, "connected")
	broker.Publish(exchange, topic+".info", changeOf(someNode))
	heard.want(t, "changed node")
}

func TestListenRefused(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, exchange)
	config := configOf(broker)
	config.Password = "wr0ng"
	heard, _ := listen(t, config)
	if got := heard.want(t, "lost: "); strings.Contains(got, "wr0ng") || !strings.Contains(got, "user") {
		t.Errorf("%s; want an error that names the user's refusal and not the password", got)
	}
}

// TestListenEndsEarly ends it while a broker that is alive keeps it waiting.
func TestListenEndsEarly(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, exchange)
	broker.Mute = true
	_, stop := listen(t, configOf(broker))
	waitFor(t, "there is a connection", func() bool { return broker.Waiting() == 1 })
	stop()
	waitFor(t, "the connection has ended", func() bool { return broker.Waiting() == 0 })
}

// TestBackoff counts the pauses between tries of a broker that is not there, on a fake clock.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := taken.Addr().String()
		taken.Close()
		heard, stop := listen(t, Config{Address: address, Exchange: exchange, Topic: topic})
		defer stop()
		texts := make(map[string]bool)
		for pause := firstRetry; ; pause = min(2*pause, longestRetry) {
			texts[<-heard.told] = true
			if got := <-heard.retries; got < pause/2 || got >= pause {
				t.Errorf("a pause of %s, want one from %s to %s", got, pause/2, pause)
			}
			if pause == longestRetry {
				break
			}
		}
		if len(texts) != 1 {
			t.Errorf("one cause has %d texts: %v", len(texts), texts)
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40123}, Addr: &net.TCPAddr{Port: 5672}, Err: errors.New("connection reset")},
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Name: "rabbit", Server: "192.0.2.1:53", Err: "read udp 192.0.2.7:40123->192.0.2.1:53: i/o timeout"}},
	} {
		if got := fmt.Sprint(explain(err)); strings.Contains(got, "40123") {
			t.Errorf("%s holds a port that differs each time", got)
		}
	}
	const refused = "ACCESS_REFUSED - access to exchange 'ironic' in vhost '/' refused for user 's3cret'"
	for code, reason := range map[int]string{403: refused, 320: "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", 530: refused} {
		got := explain(serverError(code, reason)).Error()
		if strings.Contains(got, "s3cret") || !strings.Contains(got, "broker") {
			t.Errorf("%d: %s", code, got)
		}
	}
}

func serverError(code int, reason string) error {
	return &amqp.Error{Code: code, Reason: reason, Server: true}
}
