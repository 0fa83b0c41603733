#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs http-cache-tests, the suite of tests for HTTP caches, as root, below $IRONIC_EDGE_TEST_DIR (default:
# $HOME/.cache/ironic-edge-test), and Node.js if there is none. May be run again at any time; what is there stays.
set -eu

version=0.4.5
dir=${IRONIC_EDGE_TEST_DIR:-$HOME/.cache/ironic-edge-test}/httpcache
suite=$dir/node_modules/http-cache-tests

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm
fi
if [ "$(node -p 'require(process.argv[1]).version' "$suite/package.json" 2>/dev/null)" != "$version" ]; then
	mkdir -p "$dir"
	npm install --prefix "$dir" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "http-cache-tests@$version"
fi
[ -f "$suite/cli.mjs" ] || { echo "httpcache.sh: $suite/cli.mjs is not there" >&2; exit 1; }
