#!/bin/sh
# What `make bench-layers` does after building: what an answer from the cache costs a worker
# beside layers in Lua, in microseconds of CPU, the kernel's part included. It needs dnsperf.
# SECONDS_EACH says how long each is asked, PORT where.
set -eu
cd "$(dirname "$0")/.."
port=${PORT:-5399} seconds=${SECONDS_EACH:-5}
dir=$(mktemp -d)
net=
trap 'test -z "$net" || { kill "$net"; wait "$net" || :; }; rm -rf "$dir"' EXIT

bin/smallnet -kresd bin/kresd -zones testdata/zones -addr 127.0.0.1 -port "$port" -workers 1 -rundir "$dir/run" > "$dir/log" 2>&1 &
net=$!
console() { bin/kresc -e "$1" "$dir/run"; }
tries=0
until console 'worker.id' > /dev/null 2>&1; do
	tries=$((tries + 1))
	test $tries -lt 100 || { cat "$dir/log" >&2; exit 1; }
	sleep 0.1
done
console "policy.add(policy.suffix(policy.DENY, policy.todnames{'denied.example.com'})) hints['hinted.example.com'] = '192.0.2.7'" > /dev/null
echo 'www.example.com. A' > "$dir/cached"
echo 'hinted.example.com. A' > "$dir/hinted"
echo 'denied.example.com. A' > "$dir/denied"

used() { console 'return tostring((worker.stats().usertime + worker.stats().systime) * 1e6)'; }
ask() { dnsperf -s 127.0.0.1 -p "$port" -d "$dir/$1" -c 4 -q 20 -l "$2"; }

# cost NAME HOOKS DECLARATION: one line of the table
cost() {
	test -z "$2" || console "package.loaded.cost = nil package.preload.cost = function() local l = {} for name in ('$2'):gmatch('%S+') do l[name] = function(state) return state end end return { layer = l } end modules.load('$3')" > /dev/null
	printf '%-28s' "$1"
	for kind in cached hinted denied; do
		ask $kind 1 > /dev/null
		before=$(used)
		ask $kind "$seconds" > "$dir/out"
		after=$(used)
		awk -v used="$(awk "BEGIN { print $after - $before }")" '/Queries completed/ { n = $3 } /Queries per second/ { rate = $4 } END { printf "%10.1f µs %7d/s", used / n, rate }' "$dir/out"
	done
	echo
	test -z "$2" || console "modules.unload('cost')" > /dev/null
}

printf '%-28s%21s%21s%21s\n' 'hooks' 'from the cache' 'a hint' 'denied by a rule'
cost none '' ''
cost checkout checkout cost
cost 'produce behind the cache' produce cost
cost 'produce before the cache' produce 'cost < cache'
cost consume consume cost
cost reset reset cost
cost begin begin cost
cost finish finish cost
cost 'begin, consume and finish' 'begin consume finish' cost
cost 'all, before the cache' 'begin reset produce checkout consume answer_finalize finish' 'cost < cache'
