#!/bin/sh
# What `make run` does after building. PORT, WORKERS, RUNDIR and ADDR choose
# where; KRESD_DEMO_ROOTS=none goes straight to the small Internet.
set -eu
cd "$(dirname "$0")/.."
exec bin/smallnet -kresd bin/kresd -zones testdata/zones \
	-addr "${ADDR:-127.0.0.1}" -port "${PORT:-5353}" \
	-workers "${WORKERS:-2}" -rundir "${RUNDIR:-run}"
