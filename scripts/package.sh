#!/bin/sh
# Makes the packages in .build/packages: a .deb and an .rpm for this machine's
# architecture and C library. VERSION= is that of internal/version unless given.
set -eu
umask 022
cd "$(dirname "$0")/.."
STAGE=$PWD/.build/stage
rm -rf "$STAGE" .build/packages
mkdir -p "$STAGE" .build/packages

# Programs as distributions want them: at no fixed address, with tables that are only
# read once they are resolved, without symbols and paths of this machine.
release=$(cat internal/version/VERSION)
commit=$(git rev-parse --short=9 HEAD 2>/dev/null || true)
stamp=''
[ -z "$commit" ] || stamp="-X kresd/internal/version.build=g$commit"
go build -trimpath -pgo=cmd/kresd/kresd.pgo -buildmode=pie -ldflags "-s -w -extldflags '-Wl,-z,relro,-z,now' $stamp" -o "$STAGE/bin/" \
	./cmd/kresd ./cmd/kresd-supervisor ./cmd/kresc ./cmd/kres-cache-gc
BIN=$STAGE/bin DESTDIR=$STAGE PREFIX=/usr sh scripts/install.sh
rm -rf "$STAGE/bin"

# What both kinds of packages have elsewhere, and what only one of them has.
mv "$STAGE/usr/share/zsh/site-functions" "$STAGE/site-functions"
cp -R "$STAGE/site-functions" "$STAGE/vendor-completions"
rm -rf "$STAGE/usr/share/zsh"
for page in "$STAGE"/usr/share/man/man*/*; do
	if [ -L "$page" ]; then
		ln -s "$(readlink "$page").gz" "$page.gz"
		rm "$page"
	else
		gzip -9n "$page"
	fi
done
sh scripts/copyright.sh >"$STAGE/usr/share/doc/kresd/copyright"
mv "$STAGE/usr/share/doc/kresd/CHANGELOG.md" "$STAGE/usr/share/doc/kresd/changelog"
gzip -9n "$STAGE/usr/share/doc/kresd/changelog" "$STAGE/usr/share/doc/kresd/manual.md" "$STAGE/usr/share/doc/kresd/operation.md"


: "${VERSION:=$release${commit:++g$commit}}"
export VERSION
ARCH=$(go env GOARCH)
export ARCH
# The newest version of the C library of which something is called.
LIBC=$(objdump -T "$STAGE"/usr/sbin/* | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -uV | tail -n 1)
export LIBC
epoch=$(git log -1 --format=%ct 2>/dev/null || date +%s)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$epoch}
export SOURCE_DATE_EPOCH
cat >"$STAGE/changelog.yaml" <<END
- semver: $VERSION
  date: $(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
  packager: kresd maintainers <maintainers@kresd.invalid>
  deb:
    urgency: medium
    distributions: [unstable]
  changes:
    - note: A release of kresd; CHANGELOG.md says what is in it.
END
nfpm=${NFPM:-.build/bin/nfpm}
for kind in deb rpm; do
	config=packaging/nfpm.yaml
	if [ $kind = deb ]; then # whose rights stand in a file alone (lintian: unknown-field)
		config=$STAGE/nfpm.yaml
		sed '/^license:/d' packaging/nfpm.yaml >"$config"
	fi
	"$nfpm" package --config "$config" --packager $kind --target .build/packages/ >.build/nfpm.log 2>&1 || { cat .build/nfpm.log >&2; exit 1; }
done
ls .build/packages
