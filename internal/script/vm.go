package script

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/reference"
	"kresd/internal/safe"
	"kresd/internal/script/source"
)

// ErrClosed is returned for work given to a machine that was closed.
var ErrClosed = errors.New("the Lua machine is closed")

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
	// OnLong is told, once in a while, where code stands ("file:line") that has run for
	// longer than limits.LuaLongRun, and for how long. nil: nobody is.
	OnLong func(place string, ran time.Duration)

	// OnPanic is told when a binding panics: the binding's name, the value
	// and the stack. The script sees a Lua error. Default: a line on Stderr.
	OnPanic func(name string, value any, stack []byte)

	// Goroutines starts the owner goroutine; nil is fine.
	Goroutines *safe.Group

	// Withhold is told of what code wants to change or to run outside of the machine
	// (files, commands of the shell): where, as "file:line: ", and in words. Then
	// nothing of it happens, and the code goes on as if it had: what it writes is kept
	// in memory. nil: code does what it wants.
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
	if o.EventTime == 0 {
		o.EventTime = limits.EventRunTime
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
}

// A VM is a Lua machine. The goroutine that has it changes (thread); what is said
// of the owner goroutine is meant of that one. Its methods may be called from
// anywhere unless they say otherwise.
type VM struct {
	opts   Options
	jobs   *queue // in order, one at a time
	mapped *queue // mapped expressions: served while a Call waits, too
	hooks  *queue // what requests wait for: likewise

	waited    *queue // threads in Call.Wait that want the machine back
	aside     *queue // threads in Call.StepAside that do
	abandoned *queue // threads to be ended

	closed chan struct{}
	ended  chan struct{}
	once   sync.Once

	checker *checker // compiles only; has a state of its own

	eventBudget time.Duration // running time of what is posted

	// What follows belongs to the owner goroutine.
	exiting bool    // a script has called os.exit, so that no event's code runs any more
	now     *thread // who that is
	threads map[*thread]struct{}
	basic   []any // basicValues
	// assignedEnv is what scripts assigned to env, as text.
	assignedEnv map[string]string
	// coroutines are the threads that scripts have, by what stands for them there.
	coroutines   map[weak.Pointer[lua.State]]*thread
	fruitless    time.Time       // when reclaim found nothing
	events       door            // what is posted goes through it
	toldLong     time.Time       // when OnLong was told last
	libraryTexts map[string]bool // the chunks of libraries that are written in Lua
	away         int             // threads that wait for something outside
	held         int             // of these, those that only urgent work may overtake
	hooksAway    int             // of these, those that a request waits for and that have stepped aside
	eventsAway   int             // and callbacks of events that have
	objects      map[string]*object
	protected    map[string]*object // assigned tables are merged into these
	classes      map[*Class]*Ref    // their metatables
	bound        []binding          // by scripts' names, in the order in which they were registered
	book         *reference.Book
	words        map[string]func() []string // vocabularies
	sources      *source.Texts
	moduleDir    string
	core         map[string]bool // globals that are part of the program
	absent       absences
	random       *rand.Rand // of math.random
}

func (vm *VM) isClosed() bool {
	select {
	case <-vm.closed:
		return true
	default:
		return false
	}
}

// A thread is a Lua stack of its own, and the goroutine that runs on it. All
// threads of a machine have everything else in common: the table of globals, the
// registry and the metatables of the basic types. The machine cannot do that by
// itself; here each thread is one of its states, to which the common parts were
// handed.
//
// VM.now is the thread that has the machine. No other goroutine touches any Lua
// value, also not those on its own stack, until the machine is handed to it. There
// are two ways to hand it over:
//
//   - resume and yield go from one thread to a certain other one and back
//     (thread.go). The one that resumed waits meanwhile, and what the resumed thread
//     does counts as its running time.
//   - A thread whose code waits for something outside leaves the machine to whoever
//     has work for it, and queues for its return (turn.go).
type thread struct {
	vm *VM
	l  *lua.State

	run     *run // the innermost evaluation in progress here
	outside *run // the innermost of those that wait until this thread's are done, or nil

	// turn says to a thread that waits for something outside that it has the
	// machine again.
	turn chan struct{}

	// What follows is used for threads that are resumed, not for those that
	// serve jobs.

	status  threadStatus
	resumer *thread // who gets the machine back
	within  *run    // the evaluation in which it was resumed
	nested  int     // resumers above, of which each waits for the next
	task    *Task   // that it is, or nil
	parked  bool    // it has given the machine away since code of its task waits

	// The goroutine is one of iter.Pull's, which hands over several times as fast
	// as a channel; what panics there comes out where it was resumed, under the
	// recover of that goroutine.
	proceed func() (struct{}, bool)
	stop    func()
	suspend func(struct{}) bool

	seen weak.Pointer[lua.State] // what stands for it in scripts: a coroutine

	moved     int    // values that the last hand-over put on the receiver's stack
	err       error  // what ended the thread: an *Interrupt or errRaised
	raised    *Ref   // the error's value
	traceback string // of the place where the error was raised
}

// A Task is a thread that a scheduler of ours runs (task.go). Its methods are for the
// owner goroutine.
type Task struct {
	t     *thread
	co    *lua.State // keeps it from being forgotten
	ready func()     // tells the scheduler that it can go on
	base  run        // the evaluation that all of its code belongs to
	args  int        // on its stack, for the function that is called first
	waits atomic.Uint64
	since time.Time // when it was parked
}

type threadStatus int

const (
	suspended threadStatus = iota // not begun, or in yield
	running                       // has the machine, or has it again after waiting
	normal                        // has resumed another thread
	dead
)

func (s threadStatus) String() string {
	return [...]string{"suspended", "running", "normal", "dead"}[s]
}

// A run is one evaluation in progress.
type run struct {
	setup
	outer *run      // the evaluation that waits until this one is done, or nil
	since time.Time // when it began, later by what it has waited since
	took  memory
}

// setup describes an evaluation.
type setup struct {
	ctx    context.Context // nil: never ends
	kind   Kind
	budget time.Duration // running time; 0: unlimited
	echo   io.Writer     // where what it prints is shown as well; may be nil
	part   bool          // of the evaluation that it runs in: its time and memory count as that one's
}

// A Kind says why Lua code runs.
type Kind int

// The kinds of evaluation.
const (
	Internal Kind = iota // the program's own
	Config               // a configuration file
	Console              // a command
	Mapped               // an expression relayed by map()
	Event                // a timer or another callback
	Hooked               // a function that a request waits for
)
