#!/bin/sh
# Install the Debian packages of tools/packages.txt that are missing, and CRIU (criu.sh). Needs root and Debian 12.
# SPDX-License-Identifier: Apache-2.0
set -eu
list="$(dirname "$0")/packages.txt"
missing=""
for p in $(sed 's/#.*//' "$list"); do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
# A mirror that has lost the source is no reason to have no containers and no VMs.
criu() {
	sh "$(dirname "$0")/criu.sh" >/dev/null || echo "deps: no CRIU: containers run, but cannot be checkpointed" >&2
}
if [ -z "$missing" ]; then
	criu
	exit
fi
if [ "$(id -u)" != 0 ]; then
	echo "deps: not root; please install:$missing" >&2
	exit 1
fi
echo "deps: installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# Services must not start: their tests start what they need.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod +x $policy
	made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
log=$(mktemp)
if ! { apt-get -q update && apt-get -qy install --no-install-recommends $missing; } > "$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "deps: apt-get failed, see $log" >&2
	exit 1
fi
rm -f "$log"
criu
