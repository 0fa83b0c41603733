// SPDX-License-Identifier: Apache-2.0

// Package realkeystone runs a real Keystone on loopback for tests: that of Debian 12, with SQLite and Fernet tokens, below
// uWSGI. It begins with an account for the edge and one for Ironic, and with a catalogue without endpoints.
//
// The account of the edge has the least that Ironic's default policy demands of somebody who asks about every node. That
// is one of two roles, and either is enough: reader on the system, or service in the project of that name where Ironic has
// [DEFAULT]rbac_service_role_elevated_access. An application credential can only have the latter, for it belongs to a
// project.
package realkeystone
