#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs Debian 12's Prometheus (2.42), as root. It is not started, nor left enabled to start: the tests run their own
# process. May be run again at any time; what is there stays.
set -eu

if [ "$(dpkg-query -W -f='${db:Status-Status}' prometheus 2>/dev/null || true)" != installed ]; then
	# Debian's packages start what they install unless this file refuses (invoke-rc.d(8)).
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends prometheus
fi
if command -v systemctl >/dev/null; then
	systemctl disable prometheus # which is no error where it is, or where no systemd runs
fi
for program in prometheus promtool; do
	[ -x "/usr/bin/$program" ] || { echo "prometheus.sh: $program is not there" >&2; exit 1; }
done
