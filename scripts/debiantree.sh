#!/bin/sh
# Makes a fresh Debian 12 in a directory, unless it is there: debiantree.sh DIR. It needs
# root, debootstrap and a mirror (DEBIAN_MIRROR).
set -eu
dir=$1
[ -e "$dir/.complete" ] && exit 0
rm -rf "$dir" "$dir.part"
if ! log=$(debootstrap --variant=minbase --include=systemd bookworm "$dir.part" \
	"${DEBIAN_MIRROR:-http://deb.debian.org/debian}" 2>&1); then
	printf '%s\n' "$log" | tail -n 3 >&2
	rm -rf "$dir.part"
	exit 1
fi
rm -rf "$dir.part"/var/cache/apt/archives/*.deb "$dir.part"/var/lib/apt/lists/*
touch "$dir.part/.complete"
mv "$dir.part" "$dir"
