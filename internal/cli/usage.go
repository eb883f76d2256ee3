package cli

import (
	"strings"

	"kresd/internal/version"
)

const usage = `Usage: PROGRAM [parameters] [rundir]

Parameters:
 -a, --addr=ADDR[@PORT]    Server address, repeatable (default: localhost@53).
 -t, --tls=ADDR[@PORT]     Server address for DNS over TLS, repeatable (port 853).
 -S, --fd=FD[:KIND]        Serve an inherited socket, repeatable; KIND is dns (default), tls,
                           doh2, http, doq or control.
 -T, --tlsfd=FD            The same as -S FD:tls.
 -c, --config=PATH         Configuration file, relative to rundir, repeatable (default: config);
                           '-' means no file and no defaults.
 -k, --keyfile=PATH        File with root trust anchors, kept up to date; fetched where it is missing.
 -K, --keyfile-ro=PATH     File with root trust anchors, only read.
 -m, --moduledir=PATH      Directory with modules.
 -f, --forks=N             Run N workers, without a console on the terminal.
 -n, --noninteractive      One worker without a console on the terminal, as -f 1.
 -q, --quiet               No prompt on consoles.
 -v, --verbose             Verbose log from the start.
     --log-format=FORMAT   Log as text (default), json or logfmt.
     --check-config        Try the configuration, tell all that is wrong with it, change nothing.
     --script=FILE ...     Run a script in Lua in a worker that listens on nothing; what follows is its arguments.
 -V, --version             Print version and end.
 -h, --help                Print this text and end.
Options:
 rundir                    Directory to work in: cache, control sockets, configuration (default: .).
`

// Usage is the text of --help for a program's name.
func Usage(program string) string { return strings.Replace(usage, "PROGRAM", program, 1) }

// VersionLine is the text of --version.
func VersionLine() string { return "kresd, version " + version.String() + "\n" }
