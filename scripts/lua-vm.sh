#!/bin/sh
# Prepares the Lua machine: copies the github.com/Shopify/go-lua that go.mod
# pins into .build/go-lua, applies scripts/go-lua.patch there, and writes a
# go.work that lets go build, go test, go vet and editors see the copy. Both
# are ignored by git. Does nothing when they are up to date; safe to run twice
# at once.
set -eu

cd "$(dirname "$0")/.."
module=github.com/Shopify/go-lua
copy=.build/go-lua
patch=$(pwd)/scripts/go-lua.patch

fail() {
	echo "lua-vm: $*" >&2
	exit 1
}

command -v go >/dev/null || fail "go is missing: install Go 1.26 (https://go.dev/dl)"
command -v git >/dev/null || fail "git is missing: apt-get install git"

version=$(sed -n "s#^[[:space:]]*\(require[[:space:]]*\)*$module \(v[^ ]*\).*#\2#p" go.mod)
[ -n "$version" ] || fail "go.mod does not require $module"
goline=$(sed -n 's/^go \(.*\)/\1/p' go.mod)
stamp="$version go $goline $(cat "$patch" "$0" | git hash-object --stdin)"

if [ -f go.work ] && [ "$(cat $copy/.stamp 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi

dir=$(GOWORK=off go mod download -json "$module@$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
[ -d "$dir" ] || fail "cannot get $module $version (is the module proxy reachable?)"

mkdir -p .build
new=$(mktemp -d .build/go-lua.XXXXXX)
trap 'rm -rf "$new" "$new.work" "$new.old"' EXIT INT TERM
cp -R "$dir/." "$new"
chmod -R u+w "$new"
# The module's own tests need files that are not in its archive; ours in
# internal/script/language stand in for them.
find "$new" -name '*_test.go' -exec rm {} +
# GIT_DIR is set away so that git sees plain files, inside a checkout and
# outside; a git that finds a repository would silently skip ignored paths.
(cd "$new" && GIT_DIR=/nonexistent git apply --whitespace=nowarn "$patch") ||
	fail "scripts/go-lua.patch does not apply to $module $version"
printf '%s\n' "$stamp" >"$new/.stamp"
chmod 755 "$new"

printf 'go %s\n\nuse .\n\nreplace %s => ./%s\n' "$goline" "$module" "$copy" >"$new.work"
if [ -e $copy ]; then
	mv $copy "$new.old" || true
fi
# Another run may have put its copy there in between; one is as good as the other.
mv -T "$new" $copy 2>/dev/null || [ "$(cat $copy/.stamp)" = "$stamp" ] || fail "cannot write $copy"
mv "$new.work" go.work
