#!/bin/sh
# fuzz.sh DURATION: runs every fuzz target of the module for that long, one
# after the other; stops at the first that finds something.
set -eu
time=${1:-10s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT INT TERM

# Go's fuzzer at times reports its own end of time as a failure, without an
# input that fails (golang/go, "context deadline exceeded"). That is no finding.
fuzz() {
	status=0
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 2s "$1" </dev/null >"$out" 2>&1 || status=$?
	if [ "$status" != 0 ] && grep -q '^ *context deadline exceeded$' "$out" && ! grep -q 'Failing input' "$out"; then
		grep '^fuzz: ' "$out" || :
		echo "$2 of $1: nothing found until the end of its time"
		return 0
	fi
	cat "$out"
	return "$status"
}

go list -f '{{.Dir}} {{.ImportPath}}' ./... | while read -r dir pkg; do
	for target in $(cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do
		fuzz "$pkg" "$target"
	done
done
