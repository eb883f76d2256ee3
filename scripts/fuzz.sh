#!/bin/sh
# fuzz.sh DURATION: runs every fuzz target of the module for that long, one
# after the other; stops at the first that finds something.
set -eu
time=${1:-10s}
go list -f '{{.Dir}} {{.ImportPath}}' ./... | while read -r dir pkg; do
	for target in $(cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 2s "$pkg" </dev/null
	done
done
