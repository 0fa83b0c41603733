#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs Debian 12's Keystone (22.0) as a library, and uWSGI to run it, as root. The package `keystone` stays out: it
# brings a service and a database. May be run again at any time; what is there stays.
set -eu

packages='python3-keystone uwsgi-core uwsgi-plugin-python3'

installed() {
	dpkg-query -W -f='${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed
}

# shellcheck disable=SC2086 # one word per package
if [ "$(installed $packages)" -ne "$(echo $packages | wc -w)" ]; then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
fi
/usr/bin/keystone-manage --version >/dev/null 2>&1 || { echo "keystone.sh: keystone-manage does not run" >&2; exit 1; }
