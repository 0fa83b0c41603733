#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs Debian 12's Glance (25.1) as a library, and uWSGI to run it, as root. The packages `glance-api` and
# `glance-common` stay out: they bring a service and a database. May be run again at any time; what is there stays.
set -eu

packages='python3-glance uwsgi-core uwsgi-plugin-python3'

installed() {
	dpkg-query -W -f='${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed
}

# shellcheck disable=SC2086 # one word per package
if [ "$(installed $packages)" -ne "$(echo $packages | wc -w)" ]; then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
fi
/usr/bin/python3 -c 'import glance.cmd.manage' 2>/dev/null || { echo "glance.sh: Glance's modules cannot be loaded" >&2; exit 1; }
