// SPDX-License-Identifier: Apache-2.0

// Package page looks at the status page with Chromium while a machine boots with real iPXE: that the page is live, can be
// searched and used by keyboard, fits every screen, bears thousands of nodes, shuts nobody out and tells no secret.
package page
