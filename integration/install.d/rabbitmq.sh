#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs Debian 12's RabbitMQ (3.10), as root. It is not started, nor left enabled to start: the tests run their own
# processes. May be run again at any time; what is there stays.
set -eu

if [ "$(dpkg-query -W -f='${db:Status-Status}' rabbitmq-server 2>/dev/null || true)" != installed ]; then
	# Debian's packages start what they install unless this file refuses (invoke-rc.d(8)).
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	# Somebody else may be installing at the same time.
	apt-get -o DPkg::Lock::Timeout=600 update -q
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends rabbitmq-server
	if [ -d /run/systemd/system ]; then
		systemctl disable --now rabbitmq-server
	fi
fi
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || { echo "rabbitmq.sh: RabbitMQ's server is not there" >&2; exit 1; }
