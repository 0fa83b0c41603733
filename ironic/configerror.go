// SPDX-License-Identifier: Apache-2.0

package ironic

import "fmt"

// ConfigError is what New says of a value that it cannot use.
type ConfigError struct {
	Field string // of Config, such as "CAFile" or "Auth.Cloud"
	Value string // as given; empty where it may hold a secret
	Err   error  // why, in words that follow on the value: "holds no PEM certificate"
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%s %q: %v", e.Field, e.Value, e.Err) }

func (e *ConfigError) Unwrap() error { return e.Err }

func badConfig(field, value, format string, args ...any) error {
	return &ConfigError{field, value, fmt.Errorf(format, args...)}
}
