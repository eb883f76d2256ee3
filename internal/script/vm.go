package script

import (
	"io"
	"os"
	"time"

	"kresd/internal/clock"
	"kresd/internal/reference"
	"kresd/internal/safe"
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// Options are what a machine needs from outside. The zero value works.
type Options struct {
	Stdin  *os.File  // io.stdin; nil: nothing comes from there
	Stdout io.Writer // print() and log(); default os.Stdout
	Stderr io.Writer // warn() and errors in callbacks; default os.Stderr

	// Line takes what log(), warn() and errors in callbacks say, where the daemon's log
	// is not the text that scripts write; warning is false for log(). nil: they write to
	// Stdout and Stderr.
	Line func(warning bool, text string)

	// Getenv reads the environment for env and os.getenv; default
	// os.LookupEnv.
	Getenv func(name string) (string, bool)

	// Exit is told the status that os.exit() wants; it makes the process end soon
	// and returns. nil: os.exit is an error.
	Exit func(status int)

	// Reference has the words of help(); default reference.Program().
	Reference *reference.Book

	// Clock is what os.time() and os.date() show; default clock.Real().
	Clock *clock.Clock

	// Loaded is told of each file of code, with what is in it, before it is run.
	Loaded func(path, text string)
	// Code has what is run of a file of code in the place of what stands in it now; not
	// ok: that is run. nil: no file has.
	Code func(path string) (text string, ok bool)
	// Opened is what a script gets in the place of a file of data that it has opened to
	// read, or that could not be opened. nil: that itself.
	Opened func(path string, f *os.File, err error) (*os.File, error)
	// OnLong is told, once in a while, where code stands ("file:line") that has run for
	// longer than limits.LuaLongRun, and for how long. nil: nobody is.
	OnLong func(place string, ran time.Duration)

	// OnPanic is told when a binding panics: the binding's name, the value
	// and the stack. The script sees a Lua error. Default: a line on Stderr.
	OnPanic func(name string, value any, stack []byte)

	// Goroutines starts the owner goroutine; nil is fine.
	Goroutines *safe.Group

	// Withhold, if it is set, keeps code from changing or running anything outside of the
	// process (files, commands of the shell). It is told where code wanted to, as
	// "file:line: ", and what, in words. The code goes on as if that had happened: what it
	// writes is kept in memory.
	Withhold func(where, what string)

	// Mistake is told what one entry of a table that is assigned to an object has
	// wrong; the other entries are set then. nil: the first mistake ends the assignment.
	Mistake func(err error)

	// EventTime is how long the code of an event may run; 0: limits.EventRunTime. Fatal
	// is called after an error in it was written to Stderr; nil: nobody cares.
	EventTime time.Duration
	Fatal     func()
}

func (o *Options) setDefaults() {
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.Reference == nil {
		o.Reference = reference.Program()
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
}

// A VM is a Lua machine with what bindings have given it. The goroutine that has it
// changes (package machine); what is said of the owner goroutine is meant of that one.
// Its methods may be called from anywhere unless they say otherwise.
type VM struct {
	opts Options
	m    *machine.Machine

	// What follows belongs to the owner goroutine.

	// assignedEnv is what scripts assigned to env, as text.
	assignedEnv  map[string]string
	libraryTexts map[string]bool // the chunks of libraries that are written in Lua
	objects      map[string]*object
	protected    map[string]*object // assigned tables are merged into these
	classes      map[*Class]*Ref    // their metatables
	bound        []binding          // by scripts' names, in the order in which they were registered
	book         *reference.Book
	words        map[string]func() []string // vocabularies
	kinds        map[string]string          // names of classes, by those and by what scripts call their values
	sources      *source.Texts
	moduleDir    string
	core         map[string]bool // globals that are part of the program
	absent       absences
}

// Machine is what decides who has the machine.
func (vm *VM) Machine() *machine.Machine { return vm.m }

// Options are those that the machine was made with, and what it took where there were
// none.
func (vm *VM) Options() *Options { return &vm.opts }

// Sources are the texts that were loaded.
func (vm *VM) Sources() *source.Texts { return vm.sources }

// SetAbsent says which names are absent. For the owner goroutine.
func (vm *VM) SetAbsent(a Absent) { vm.absent.Absent = a }
