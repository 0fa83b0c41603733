#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what looks at the status page, as root: Chromium and a font, and below $IRONIC_EDGE_TEST_DIR (default:
# $HOME/.cache/ironic-edge-test) playwright-core, which drives it, and axe-core, which finds what shuts people out. Node.js is
# installed if there is none. May be run again at any time; what is there stays.
set -eu

playwright=1.60.0
axe=4.14.1
dir=${IRONIC_EDGE_TEST_DIR:-$HOME/.cache/ironic-edge-test}/chromium

if ! command -v chromium >/dev/null || ! command -v node >/dev/null || ! command -v npm >/dev/null ||
	[ ! -f /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ]; then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core nodejs npm
fi
version() { node -p 'require(process.argv[1]).version' "$dir/node_modules/$1/package.json" 2>/dev/null || true; }
if [ "$(version playwright-core)" != "$playwright" ] || [ "$(version axe-core)" != "$axe" ]; then
	mkdir -p "$dir"
	npm install --prefix "$dir" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "playwright-core@$playwright" "axe-core@$axe"
fi
