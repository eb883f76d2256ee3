#!/bin/sh
# Makes cmd/kresd/kresd.pgo anew, by which the compiler knows the ways that questions take
# (profile-guided optimisation): a program with the tag profile answers the workloads of
# $KRESD_SHARED/bench, and what its processes wrote becomes one profile. Needs root, as the
# bench does. An old profile makes the program slower, never wrong: functions are found by
# their names and lines within them.
set -eu
bench=${KRESD_SHARED:?}/bench/run
[ -x "$bench" ] || { echo "profile: there is no $bench; KRESD_SHARED names where it lies" >&2; exit 1; }
dir=$(mktemp -d /tmp/kresd-profile.XXXXXX)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/parts"

go build -trimpath -pgo=off -tags profile -o "$dir/kresd" ./cmd/kresd

# measure WORKLOADS [VAR=VALUE]: what the bench asks by these workloads, with one worker and
# with two.
measure() {
	workloads=$1
	shift
	env KRESD_PROFILE="$dir/parts" KRESD_BIN="$dir/kresd" "$@" \
		"$bench" --resolvers kresd --workloads "$workloads" --workers 1,2 --reps 3 --secs 6
}
measure hit,hitdo,lat,mix,miss,smiss,latmiss,nxnsec,nxnsec3,cold KRESD_CONFIG="$PWD/scripts/bench.conf"
measure tcp,dot

go tool pprof -proto -output cmd/kresd/kresd.pgo "$dir"/parts/*.pprof
ls -l cmd/kresd/kresd.pgo
