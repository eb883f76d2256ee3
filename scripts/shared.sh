#!/bin/sh
# Says what cannot run when the shared specification and its test material are
# not on this machine. KRESD_SHARED_REQUIRED=1 (.ci/run) makes that an error.
if [ -r "${KRESD_SHARED:-../shared}/bench/fakenet/gen.py" ]; then
	exit 0
fi
echo "not run: the tests against the fake Internet of ${KRESD_SHARED:-../shared}/bench (set KRESD_SHARED)"
[ -z "${KRESD_SHARED_REQUIRED:-}" ]
