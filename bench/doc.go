// SPDX-License-Identifier: Apache-2.0

// Command bench measures ironic-edge beside a peer, in one run on one machine, and prints a table of both with the
// ratio that matters. It needs nginx, wrk and ab (Debian: nginx-light, wrk, apache2-utils).
//
//	go run ./bench scripts              warm boot scripts, beside nginx serving the same bytes from a file
//	go run ./bench scripts -ironic URL  the same, and Ironic's own node reads at that URL
//
// Figures are worth something as ratios of one run only: client and servers share the machine's cores.
package main
