// SPDX-License-Identifier: Apache-2.0

// Command bench measures ironic-edge beside its peers, in one run on one machine, and prints tables of all with the
// ratios that matter. It needs nginx, wrk and ab for scripts, nginx and varnish for images (Debian: nginx-light, wrk,
// apache2-utils, varnish).
//
//	go run ./bench scripts              warm boot scripts, beside nginx serving the same bytes from a file
//	go run ./bench scripts -ironic URL  the same, and Ironic's own node reads at that URL
//	go run ./bench images               caches of images before a line of 50 MB/s and 40 ms: nginx, varnish, ironic-edge
//	go run ./bench storm                10,000 machines at a cold edge within 10 s, before an Ironic of 100 requests a second
//
// Figures are worth something as ratios of one run only: client and servers share the machine's cores.
package main
