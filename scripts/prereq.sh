#!/bin/sh
# Is there what building needs? One line for each thing that is missing, and
# status 1. GO_WANTED is what go.mod asks for.
set -u
bad=0
missing() { echo "missing: $*" >&2; bad=1; }

GO_WANTED=$(awk '$1 == "go" { print $2 }' go.mod)
if ! command -v go >/dev/null 2>&1; then
	if [ -x /usr/local/go/bin/go ]; then
		missing "go is not in PATH (export PATH=\$PATH:/usr/local/go/bin)"
	else
		missing "Go $GO_WANTED or newer (https://go.dev/dl, unpack into /usr/local, put /usr/local/go/bin into PATH)"
	fi
else
	have=$(go env GOVERSION 2>/dev/null)
	have=${have#go}
	have=${have%% *}
	oldest=$(printf '%s\n%s\n' "$GO_WANTED" "${have:-0}" | sort -V | head -n 1)
	[ "$oldest" = "$GO_WANTED" ] || missing "Go $GO_WANTED or newer, this is ${have:-unknown} (https://go.dev/dl)"
fi
CC=${CC:-gcc}
if ! command -v "$CC" >/dev/null 2>&1; then
	missing "a C compiler for the cache library LMDB (apt-get install gcc libc6-dev)"
elif ! echo '#include <stdlib.h>' | "$CC" -E - >/dev/null 2>&1; then
	missing "the C library's headers (apt-get install libc6-dev)"
fi
command -v git >/dev/null 2>&1 ||
	missing "git, which also patches the Lua VM (apt-get install git)"
exit $bad
