// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// explainTLS says what is wrong with the broker's TLS and what to do. Nil: nothing of the sort is.
func explainTLS(err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return errors.New("the broker's certificate comes from an authority that is not trusted here; give ca_file the certificate of that authority")
	case errors.As(err, &name):
		return fmt.Errorf("the broker's certificate is not for %s; write the URL with a name that it is for", name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("the broker's certificate has run out, or is not valid yet; renew it, or set the clock")
	case errors.As(err, &invalid):
		return fmt.Errorf("the broker's certificate cannot be used: %w", invalid)
	case errors.As(err, &record):
		return errors.New("the broker does not speak TLS at this port; give its port for TLS, or write amqp://")
	}
	return nil
}
