package script

import "kresd/internal/script/machine"

// What package machine says about code that runs, which bindings need to know.
type (
	// An Error is a Lua error that nothing in Lua caught.
	Error = machine.Error
	// An Interrupt ends an evaluation. pcall does not catch it.
	Interrupt = machine.Interrupt
	// A Kind says why Lua code runs.
	Kind = machine.Kind
)

// The kinds of evaluation.
const (
	Internal = machine.Internal
	Config   = machine.Config
	Console  = machine.Console
	Mapped   = machine.Mapped
	Event    = machine.Event
	Hooked   = machine.Hooked
)

var (
	// ErrClosed is returned for work given to a machine that was closed.
	ErrClosed = machine.ErrClosed
	// ErrExit is why an evaluation ended whose code has called os.exit.
	ErrExit = machine.ErrExit
)

// Report is err for the log: with its position in front, and with its traceback, if it has
// one, on lines of its own.
func Report(err error) string { return machine.Report(err) }
