// SPDX-License-Identifier: Apache-2.0

// Package ipxetest runs iPXE boot scripts without a machine and writes down what one would do: its trace. Two scripts
// with the same trace, when all goes well and when anything fails, are the same to the machine that runs them.
//
// It interprets the part of iPXE that boot scripts use: how lines become tokens and tokens commands (image/script.c,
// core/exec.c, core/getopt.c), how settings are expanded (core/settings.c), how images are fetched, chained and booted
// (hci/commands/image_cmd.c, usr/imgmgmt.c, core/image.c, core/uri.c, net/tcp/httpcore.c) and SAN drives attached
// (hci/commands/sanboot_cmd.c, core/sanboot.c). What is outside of the machine, servers and disks, is a Network.
//
// The scripts in testdata/conformance, each an Example, are run by this package and by real iPXE, and both must make the
// same requests. Real iPXE is Debian's, of January 2019; what later releases do otherwise stands where it matters.
//
// It is no emulator: an image is a name and a length of bytes, of which only scripts are looked into, and a command that
// it does not know fails as an unknown command does.
package ipxetest
