// Package worker is the composition root: options and configuration in, a
// running resolver out.
//
// It makes the parts and introduces them to each other; what each does is its
// own package's business. Three lists live here and nowhere else: the modules in
// the order of their layers (modules.go), what happens at start in which order
// (run.go; configure.go has what the configuration says and what it leaves open),
// and what happens at the end (stop.go). The two ways of a query meet
// here too: session.go for the cached answer, handler.go for the driver.
//
// There is no way from here back into main: a worker ends by returning a status.
package worker

import (
	"os"

	"kresd/internal/cli"
	"kresd/internal/inforce"
	"kresd/internal/ipc"
	"kresd/internal/lineedit"
	"kresd/internal/privilege"
	"kresd/internal/systemd"
)

// Options are what a worker is started with.
type Options struct {
	// CLI is the command line. The process stands in its run directory already.
	CLI cli.Options
	// Args is what it was read from.
	Args []string
	// Link is the connection to the supervisor; nil without one.
	Link *ipc.Link
	// Sockets were handed over by a process manager or by -S.
	Sockets []systemd.Socket
	// InForce is what is run in the place of the configuration files: what a process that has
	// died has run. nil: the files are run.
	InForce *inforce.Configuration
	// Notify tells a process manager; nil when a supervisor does.
	Notify *systemd.Notifier
	// Warnings were found while entering the run directory; the log gets them.
	Warnings []string
	// Stdin, Stdout and Stderr are the process's streams; nil for its own.
	Stdin, Stdout, Stderr *os.File
	// Getenv reads the environment; nil for os.Getenv.
	Getenv func(string) string
	// Seal has the kernel keep the process from changing anything; Check calls it when
	// it has seen what it needs. nil: only the worker's own parts see to that.
	Seal func() error
	// Renounce gives up the process's capabilities but for some, and its image unless that
	// is wanted; it is called when the worker has bound its addresses. nil: all stays.
	Renounce func(image bool, keep ...privilege.Right) error

	dry     *dryRun // not nil: a worker that tries a configuration and changes nothing
	oneshot bool    // a worker that runs a script and ends with it
}

func (o *Options) fill() {
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
}

// screen is the terminal on which the console edits lines, or nil.
func (o *Options) screen() *lineedit.Screen {
	if !o.CLI.Interactive {
		return nil
	}
	return lineedit.NewScreen(o.Stdin, o.Stdout, o.Getenv)
}
