#!/bin/sh
# Installs what 'make build' has made, and all that goes with it: below DESTDIR, for
# a machine on which it will be found below PREFIX. The configuration, /etc and /var,
# is the administrator's, or a package's.
set -eu
umask 022
: "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${BIN:=bin}"
to=$DESTDIR$PREFIX

dir() { install -d -m 0755 "$@"; }
file() { install -m 0644 "$@"; }

dir "$to/sbin" "$to/bin"
install -m 0755 "$BIN/kresd" "$BIN/kresd-supervisor" "$BIN/kresc" "$BIN/kres-cache-gc" "$to/sbin/"
for script in kresd-host.lua kresd-query.lua; do
	sed "1s|.*|#!$PREFIX/sbin/kresd --script|" "scripts/$script" >"$to/bin/$script"
	chmod 0755 "$to/bin/$script"
done

for section in 1 5 7 8; do
	dir "$to/share/man/man$section"
	file docs/*."$section" "$to/share/man/man$section/"
done
ln -sf kresd.8 "$to/share/man/man8/kresd-supervisor.8"

dir "$to/share/bash-completion/completions" "$to/share/zsh/site-functions" "$to/share/fish/vendor_completions.d"
for program in kresd kresc; do
	file "packaging/completions/$program.bash" "$to/share/bash-completion/completions/$program"
done
ln -sf kresd "$to/share/bash-completion/completions/kresd-supervisor"
file packaging/completions/_* "$to/share/zsh/site-functions/"
file packaging/completions/*.fish "$to/share/fish/vendor_completions.d/"

# Units name programs by their full paths.
dir "$to/lib/systemd/system" "$to/lib/sysusers.d" "$to/lib/tmpfiles.d"
for unit in packaging/systemd/*.service packaging/systemd/*.socket packaging/systemd/*.target packaging/systemd/*.slice; do
	sed "s|/usr/sbin/|$PREFIX/sbin/|g" "$unit" >"$to/lib/systemd/system/${unit##*/}"
	chmod 0644 "$to/lib/systemd/system/${unit##*/}"
done
# The target is there at every start of the machine, with the instances that are enabled.
dir "$to/lib/systemd/system/multi-user.target.wants"
ln -sf ../kresd.target "$to/lib/systemd/system/multi-user.target.wants/kresd.target"
file packaging/systemd/knot-resolver.sysusers "$to/lib/sysusers.d/knot-resolver.conf"
file packaging/systemd/knot-resolver.tmpfiles "$to/lib/tmpfiles.d/knot-resolver.conf"

dir "$to/share/doc/kresd/examples"
file README.md CHANGELOG.md docs/manual.md docs/operation.md "$to/share/doc/kresd/"
file packaging/examples/* "$to/share/doc/kresd/examples/"
