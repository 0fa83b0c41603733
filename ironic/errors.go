// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// The kinds of failure. Every error of a Client is one of them, or the error of the caller's own context.
var (
	// ErrNoNode says that Ironic is there and knows no such node, or shows none to our user.
	ErrNoNode = errors.New("no such node")
	// ErrUnavailable says that Ironic or Glance, or the Keystone before them, could not be asked; the same question may be answered
	// later. Refused credentials are of this kind, since nothing is known about the node.
	ErrUnavailable = errors.New("service unavailable")
	// ErrNoImage says that Glance is there and has no such image for our user, or does not give it out.
	ErrNoImage = errors.New("no such image")
	// ErrBadAnswer says that there was an answer, from which no script can be made.
	ErrBadAnswer = errors.New("unusable answer")
)

// Error tells why a node or an image was not found. errors.Is finds both its Kind and its cause in it.
type Error struct {
	// Kind is ErrNoNode, ErrNoImage, ErrUnavailable or ErrBadAnswer.
	Kind error
	// Op says what was being done, and with which object.
	Op string
	// Reason is a stable code for logs and metrics.
	//
	// Of ErrNoNode: no_port, no_node, not_a_uuid.
	//
	// Of ErrNoImage: no_image, not_a_uuid, deactivated, deleted.
	//
	// Of ErrUnavailable: refused, timeout, dns, tls, connection, unauthorized, forbidden, no_endpoint, closed, not_active,
	// http_<status>.
	//
	// Of ErrBadAnswer: too_old, too_new, not_ironic, bad_json, too_large, missing_field, wrong_type, redacted,
	// two_ports, wrong_port, wrong_node, wrong_image, unknown_status, http_<status>.
	Reason string
	// Status is the HTTP status behind it, or 0.
	Status int
	// RetryAfter is what the server asked for in seconds, or 0.
	RetryAfter time.Duration
	// Err says more, or is nil.
	Err error
}

// Error returns one line without a secret.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	if e.Kind != nil {
		b.WriteString(e.Kind.Error())
	}
	b.WriteString(" (")
	b.WriteString(e.Reason)
	b.WriteString(")")
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

func httpReason(status int) string { return "http_" + strconv.Itoa(status) }

func badAnswer(op, reason, text string) *Error {
	return &Error{Kind: ErrBadAnswer, Op: op, Reason: reason, Err: errors.New(text)}
}
