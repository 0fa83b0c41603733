#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the two Ironic releases that the integration tests run, on Debian 12, as root:
# the distribution's (21.4) from apt and 39.0.0 from the Python index, in a virtual environment below
# $IRONIC_EDGE_TEST_DIR (default: $HOME/.cache/ironic-edge-test). It may be run again at any time; what is there stays.
# No Ironic service is started or left enabled to start: the tests run their own processes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
test_dir=${IRONIC_EDGE_TEST_DIR:-$HOME/.cache/ironic-edge-test}
venv=$test_dir/ironic-39.0.0
packages='ironic-api ironic-conductor python3-ironic python3-venv'

installed() {
	dpkg-query -W -f='${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed
}

install_distribution_release() {
	# shellcheck disable=SC2086 # one word per package
	if [ "$(installed $packages)" -eq "$(echo $packages | wc -w)" ]; then
		return
	fi
	# Debian's packages start what they install unless this file refuses (invoke-rc.d(8)).
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	apt-get update -q
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
	if [ -d /run/systemd/system ]; then
		systemctl disable --now ironic-api ironic-conductor
	fi
}

install_newest_release() {
	if [ "$("$venv/bin/python" -m pip freeze --all 2>/dev/null | grep -x 'ironic==39.0.0')" ]; then
		return
	fi
	mkdir -p "$test_dir"
	# Debian's own interpreter, so that the environment does not hang on a developer's.
	/usr/bin/python3 -m venv --clear "$venv"
	"$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$here/ironic-39.0.0.txt"
}

install_distribution_release
install_newest_release
ironic-dbsync --version >/dev/null 2>&1 || { echo "ironic.sh: Debian's ironic-dbsync does not run" >&2; exit 1; }
"$venv/bin/ironic-dbsync" --version >/dev/null 2>&1 || { echo "ironic.sh: $venv/bin/ironic-dbsync does not run" >&2; exit 1; }
