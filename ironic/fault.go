// SPDX-License-Identifier: Apache-2.0

package ironic

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// fault turns what gophercloud or the network reports into an *Error. Only its own words and those of the network get
// into the text: gophercloud's errors hold bodies of answers.
func fault(op string, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	var status gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &status) {
		return statusFault(op, status)
	}
	var endpoint *gophercloud.ErrEndpointNotFound
	if errors.As(err, &endpoint) {
		return &Error{Kind: ErrUnavailable, Op: op, Reason: "no_endpoint",
			Err: errors.New("Keystone's catalog has no baremetal endpoint for this region and interface")}
	}
	return networkFault(op, err)
}

// statusFault says what a status means for any call; what 404 and 406 mean beyond that is known to the caller.
func statusFault(op string, answer gophercloud.ErrUnexpectedResponseCode) *Error {
	e := &Error{Kind: ErrUnavailable, Op: op, Reason: httpReason(answer.Actual), Status: answer.Actual}
	switch s := answer.Actual; {
	case s == http.StatusUnauthorized:
		e.Reason, e.Err = "unauthorized", errors.New("the credentials are refused")
	case s == http.StatusForbidden:
		e.Reason, e.Err = "forbidden", errors.New("the credentials lack the role for it")
	case s == http.StatusNotFound && fromIronic(answer.Body):
		e.Kind, e.Reason = ErrNoNode, "no_node"
	case s == http.StatusConflict || s == http.StatusTooManyRequests || s >= 500:
		e.RetryAfter = retryAfter(answer.ResponseHeader)
	default:
		// A redirection is among them: tokens are sent to the configured address only.
		e.Kind = ErrBadAnswer
	}
	return e
}

// fromIronic tells Ironic's own error document (ironic/api/middleware/parsable_error.py) from that of another server, by
// mistake or on the way: a proxy's 404 says nothing about the node.
func fromIronic(body []byte) bool {
	o, err := parseObject(body)
	return err == nil && o["error_message"] != nil
}

// maxRetryAfter bounds what is believed of a Retry-After.
const maxRetryAfter = time.Hour

// retryAfter reads the delay-seconds form of the header (RFC 9110 section 10.2.3). The other form, a date, would trust
// two clocks.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

func networkFault(op string, err error) *Error {
	// The URL says nothing that op does not, and may hold what an operator put into it.
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
		if at.Timeout() && !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
	}
	e := &Error{Kind: ErrUnavailable, Op: op, Reason: "connection", Err: err}
	var timeout net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var operation *net.OpError
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errTooLarge):
		e.Kind, e.Reason = ErrBadAnswer, "too_large"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Reason = "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = "refused"
	case errors.As(err, &dns):
		e.Reason = "dns"
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch),
		errors.As(err, &operation) && operation.Op == "remote error": // a TLS alert, such as for our certificate
		e.Reason = "tls"
	case errors.As(err, &syntax), errors.As(err, &wrongType):
		e.Kind, e.Reason, e.Err = ErrBadAnswer, "bad_json", errors.New("the answer is not the expected JSON")
	}
	return e
}
