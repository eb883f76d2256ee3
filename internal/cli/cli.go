// Package cli reads the command lines of kresd and kresc in the habits of getopt_long: short
// options may be bundled (-vf4), long ones take their argument with or without
// "=" and may be cut to any unique prefix, and options may follow the run
// directory.
//
// It only reads: whether an address can be bound or a file be read is found
// out by whoever needs it. Options whose capability does not exist yet are
// recognised and refused here with a sentence, because an option that is
// silently ignored is worse than one that is missing.
package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"kresd/internal/logging"
)

// An Addr is one address to listen on.
type Addr struct {
	netip.AddrPort
	// Kind is the service that is offered there: "dns" or "tls".
	Kind string
	// Given is the text of the command line, for messages.
	Given string
	// Optional addresses may fail to bind: the IPv6 half of "localhost" on a
	// machine without IPv6.
	Optional bool
}

// An FD is an inherited socket and one of the kinds of package systemd.
type FD struct {
	Num  int
	Kind string
}

// Options is what the command line says.
type Options struct {
	Addrs []Addr // -a and -t
	FDs   []FD   // -S and -T

	// Configs are the -c files, relative to RunDir. Empty means the file
	// "config" if it can be read, unless NoDefaults.
	Configs []string
	// NoDefaults is "-c -": no configuration file and none of the defaults
	// that are applied after one.
	NoDefaults bool

	// KeyFile has the trust anchors of -k, or of -K, which is only read; "" for none.
	KeyFile         string
	KeyFileReadOnly bool

	ModuleDir string // -m; "" means the built-in default
	RunDir    string // first positional argument; "." by default

	Forks       int  // -f; 1 by default
	Interactive bool // a console on standard input and output
	Quiet       bool // -q
	Verbose     bool // -v
	LogFormat   logging.Format

	// Check tries the configuration and changes nothing; Forks and Interactive do not
	// count then.
	Check bool

	// Script is a file in Lua that is run instead of a configuration, with ScriptArgs;
	// "" for none. No other option counts then but Verbose and ModuleDir.
	Script     string
	ScriptArgs []string

	Help, Version bool // -h, -V: print and end, nothing else counts
}

// A UsageError is a command line that cannot be understood at all; the process
// ends with status 2. Every other error of Parse means status 1.
type UsageError struct{ text string }

// Error is one line.
func (e *UsageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// Status is the exit status that belongs to an error of Parse.
func Status(err error) int {
	var usage *UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

// Complain writes err as the one line that a failed start leaves behind.
func Complain(w io.Writer, program string, err error) {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		if words := strings.Fields(line); len(words) > 0 {
			parts = append(parts, strings.Join(words, " "))
		}
	}
	text := strings.Join(parts, "; ")
	if Status(err) == 2 {
		text += " (see '" + program + " --help')"
	}
	fmt.Fprintf(w, "%s: %s\n", program, text)
}
