#!/bin/sh
# Says, one line each, which tests cannot run on this machine. The shared
# specification is demanded where KRESD_SHARED_REQUIRED=1 (.ci/run).
[ "$(id -u)" = 0 ] || echo "not run: dropping privileges by user(), which needs root"
if [ -r "${KRESD_SHARED:-../shared}/bench/fakenet/gen.py" ]; then
	exit 0
fi
echo "not run: side by side with Unbound on the fake Internet of ${KRESD_SHARED:-../shared}/bench (set KRESD_SHARED)"
[ -z "${KRESD_SHARED_REQUIRED:-}" ]
