#!/bin/sh
# Says, one line each, which tests cannot run on this machine. The shared
# specification is demanded where KRESD_SHARED_REQUIRED=1 (.ci/run).
[ "$(id -u)" = 0 ] || echo "not run: dropping privileges by user(), keys and directories given away to another user, the units under their restrictions and the package in a Debian of its own, which need root"
# The same attempt as in test/machine_test.go.
systemd-nspawn --quiet --register=no --keep-unit --private-network --volatile=yes --directory=/ /bin/true >/dev/null 2>&1 ||
	echo "not run: the package on a machine of systemd's, which needs root and what systemd-nspawn does"
shared=${KRESD_SHARED:-../shared}
absent=''
[ -r "$shared/bench/fakenet/gen.py" ] ||
	absent="$absent; side by side with Unbound on the fake Internet of $shared/bench"
[ -x "$shared/rpl/run" ] || absent="$absent; the scenarios of $shared/rpl"
[ -n "$absent" ] || exit 0
echo "not run: ${absent#; } (set KRESD_SHARED)"
[ -z "${KRESD_SHARED_REQUIRED:-}" ]
