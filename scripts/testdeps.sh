#!/bin/sh
# Installs what the tests call and this machine lacks: as root by apt, else it
# says which packages are missing and ends with status 1.
set -u
PATH=$PATH:/usr/sbin:/sbin
want=''
need() { command -v "$1" >/dev/null 2>&1 || want="$want $2"; }

need dig bind9-dnsutils
need kdig knot-dnsutils
need dnssec-signzone bind9-utils
need knotd knot
need unbound unbound
need dnsdist dnsdist
need stubby stubby
need openssl openssl
need /usr/sbin/kresd knot-resolver
need socat socat
need dnsdist dnsdist
need nc netcat-openbsd
need ip iproute2
need unshare util-linux
need pstree psmisc
need systemd-analyze systemd
need systemd-nspawn systemd-container
need lintian lintian
need rpm rpm
need debootstrap debootstrap
need zsh zsh
need fish fish
need luajit luajit
need lua5.1 lua5.1
# What is no command: a file of the package.
needfile() { [ -e "$1" ] || want="$want $2"; }
lua=/usr/share/lua/5.1
needfile $lua/pl/init.lua lua-penlight
needfile $lua/inspect.lua lua-inspect
needfile $lua/argparse.lua lua-argparse
needfile $lua/dkjson.lua lua-dkjson
needfile $lua/basexx.lua lua-basexx
needfile $lua/binaryheap.lua lua-binaryheap
needfile $lua/markdown.lua lua-markdown
needfile $lua/say lua-say
needfile $lua/socket.lua lua-socket
needfile $lua/cjson lua-cjson
needfile /usr/share/doc/lua-filesystem lua-filesystem
need python3 python3
need mandoc mandoc
# The runner of the scenarios wants all of these of one Python.
modules='dns jinja2 yaml cryptography'
has() { for m in $modules; do "$1" -c "import $m" 2>/dev/null || return 1; done; }
has python3 || has /usr/bin/python3 || want="$want python3-dnspython python3-jinja2 python3-yaml python3-cryptography"
[ -n "$want" ] || exit 0
want=${want# }

if [ "$(id -u)" != 0 ]; then
	echo "missing for the tests: sudo apt-get install $want" >&2
	exit 1
fi
command -v apt-get >/dev/null 2>&1 || { echo "missing for the tests, and there is no apt-get: $want" >&2; exit 1; }
echo "installing for the tests: $want"
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -q -y -o DPkg::Lock::Timeout=300"
if ! log=$({ $apt update && $apt install --no-install-recommends $want; } 2>&1); then
	printf '%s\n' "$log" | tail -n 5 >&2
	echo "cannot install: apt-get install $want" >&2
	exit 1
fi
# The servers are for the tests' own name spaces; none stays as a service.
for s in knot unbound named dnsdist stubby knot-resolver; do
	case " $want " in *" $s "*)
		[ "$s" = knot-resolver ] && s='kresd.target kresd@1 kres-cache-gc'
		[ -d /run/systemd/system ] && systemctl disable --now $s >/dev/null 2>&1 ;;
	esac
done
exit 0
