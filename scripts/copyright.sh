#!/bin/sh
# Prints what the package says of rights: ours, and the licences of the modules of which
# code is in the programs, each word for word as its authors ask, but for the licences
# that every Debian system has.
set -eu
echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: kresd

Files: *
Copyright: The authors of kresd
License: all-rights-reserved
 Nobody has chosen a licence for kresd itself yet: its authors reserve all rights.

Files: usr/sbin/*
Copyright: The authors of kresd and of the modules that are listed below, as said there
License: modules
 The programs have code of these modules in them, under the licences that follow.'
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{with .Replace}}{{.Path}}{{end}} {{.Dir}}{{end}}{{end}}' ./cmd/kresd ./cmd/kresd-supervisor ./cmd/kresc ./cmd/kres-cache-gc |
	awk '{ print $1, $2, $NF }' | sort -u | while read -r path version dir; do
	printf ' .\n %s %s\n .\n' "$path" "$version"
	found=''
	for licence in "$dir"/[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]* "$dir"/COPYING* "$dir"/NOTICE*; do
		[ -f "$licence" ] || continue
		found=1
		if grep -q 'Apache License' "$licence" && grep -q 'Version 2.0, January 2004' "$licence"; then
			printf ' Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0\n'
			continue
		fi
		expand "$licence" | sed '/^ *GNU GENERAL PUBLIC LICENSE *$/{s|.*|/usr/share/common-licenses/GPL-2|;q}' |
			sed 's/[[:space:]]*$//; s/^$/./; s/^/ /'
	done
	[ -n "$found" ] || { echo "no licence is found of $path in $dir" >&2; exit 1; }
done
# The language and its library, and the database, which its module has as a copy.
printf ' .\n Go\n .\n'
sed 's/[[:space:]]*$//; s/^$/./; s/^/ /' "$(go env GOROOT)/LICENSE"
