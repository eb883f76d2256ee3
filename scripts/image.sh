#!/bin/sh
# Makes the file system of the container image in a directory: image.sh DIR. It has the
# programs, which need no libraries, the certificates of authorities, and the directories
# that volumes are mounted on, for a user without a name.
set -eu
cd "$(dirname "$0")/.."
image=$1
user=4053
install -d -m 0755 "$image/usr/sbin" "$image/etc/ssl/certs" "$image/etc/knot-resolver"
install -d -m 0700 "$image/var/cache/knot-resolver"
install -d -m 1777 "$image/tmp"

commit=$(git rev-parse --short=9 HEAD 2>/dev/null || true)
stamp=''
[ -z "$commit" ] || stamp="-X kresd/internal/version.build=g$commit"
go build -trimpath -pgo=cmd/kresd/kresd.pgo -tags netgo,osusergo -ldflags "-s -w -linkmode external -extldflags '-static' $stamp" \
	-o "$image/usr/sbin/" ./cmd/kresd ./cmd/kresd-supervisor ./cmd/kresc

install -m 0644 packaging/examples/docker.conf "$image/etc/knot-resolver/kresd.conf"
install -m 0644 packaging/root.hints internal/trustanchor/bootstrap/icann-ca.pem "$image/etc/knot-resolver/"
install -m 0644 /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
if [ "$(id -u)" = 0 ]; then
	chown "$user:$user" "$image/var/cache/knot-resolver"
fi
