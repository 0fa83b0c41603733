// SPDX-License-Identifier: Apache-2.0

// Package contract runs the tests of package ironiccontract against real Ironic, each release with and without
// authentication.
package contract
