package script

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// ErrClosed is returned for work given to a machine that was closed.
var ErrClosed = errors.New("the Lua machine is closed")

// Options are what a machine needs from outside. The zero value works.
type Options struct {
	Stdout io.Writer // print() and log(); default os.Stdout
	Stderr io.Writer // warn() and errors in callbacks; default os.Stderr

	// Getenv reads the environment for env and os.getenv; default
	// os.LookupEnv.
	Getenv func(name string) (string, bool)

	// Clock is what os.time() and os.date() show; default clock.Real().
	Clock *clock.Clock

	// OnPanic is told when a binding panics: the binding's name, the value
	// and the stack. The script sees a Lua error. Default: a line on Stderr.
	OnPanic func(name string, value any, stack []byte)

	// Goroutines starts the owner goroutine; nil is fine.
	Goroutines *safe.Group
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
	now       *thread // who that is
	threads   map[*thread]struct{}
	basic     []any // basicValues
	away      int   // threads that wait for something outside
	held      int   // of these, those that only urgent work may overtake
	objects   map[string]*object
	protected map[string]*object // assigned tables are merged into these
	classes   map[*Class]*Ref    // their metatables
	manual    []entry
	sources   *sources
	moduleDir string
}

// New makes a machine with the standard libraries and the globals of this
// package, and starts its owner goroutine. It fails on a machine that was
// built without the patch.
func New(o Options) (*VM, error) {
	o.setDefaults()
	vm := &VM{
		opts:   o,
		jobs:   newQueue(),
		mapped: newQueue(),
		hooks:  newQueue(),

		waited:    newQueue(),
		aside:     newQueue(),
		abandoned: newQueue(),

		closed:  make(chan struct{}),
		ended:   make(chan struct{}),
		checker: newChecker(),

		eventBudget: limits.EventRunTime,

		threads:   map[*thread]struct{}{},
		objects:   map[string]*object{},
		protected: map[string]*object{},
		classes:   map[*Class]*Ref{},
		sources:   newSources(),
	}
	vm.now = vm.newThread()
	if err := vm.enter(setup{}, func(c *Call) error {
		vm.openLibraries(c.l)
		return nil
	}); err != nil {
		return nil, err
	}
	if err := vm.selfTest(); err != nil {
		return nil, err
	}
	vm.serveOn(vm.now)
	return vm, nil
}

func (vm *VM) isClosed() bool {
	select {
	case <-vm.closed:
		return true
	default:
		return false
	}
}

// Close ends the machine and its goroutines after the job that is running, which
// is interrupted. What is still queued fails with ErrClosed.
func (vm *VM) Close() {
	vm.once.Do(func() { close(vm.closed) })
	<-vm.ended
}

// Do runs fn on the owner goroutine and returns its error. Lua errors and
// panics inside fn become errors too. When ctx ends before fn started, fn
// never runs; when it ends later, Lua code that fn runs is interrupted. There
// is no limit of time. Never call it on the owner goroutine.
func (vm *VM) Do(ctx context.Context, fn func(c *Call) error) error {
	return vm.submit(ctx, vm.jobs, func() error {
		return vm.enter(setup{ctx: ctx, kind: Internal}, fn)
	})
}

// Hook is Do for what a request waits for: it comes before other jobs, and is
// served while a Call waits, which may be for that very request.
func (vm *VM) Hook(ctx context.Context, fn func(c *Call) error) error {
	return vm.submit(ctx, vm.hooks, func() error {
		return vm.enter(setup{ctx: ctx, kind: Internal}, fn)
	})
}

// Post queues fn for the owner goroutine and returns at once; it may be called
// on the owner goroutine. Lua code that fn runs is interrupted after
// limits.EventRunTime, or nobody else would get a turn for good. An error is
// written to Stderr as "error: …".
func (vm *VM) Post(fn func(c *Call) error) {
	vm.jobs.put(func() {
		if err := vm.enter(setup{kind: Event, budget: vm.eventBudget}, fn); err != nil && !errors.Is(err, ErrClosed) {
			vm.warnf("error: %v", err)
		}
	})
}

// submit queues job and waits for it.
func (vm *VM) submit(ctx context.Context, q *queue, job func() error) error {
	const (
		waiting = iota
		started
		given // up
	)
	var state atomic.Int32
	result := make(chan error, 1)
	q.put(func() {
		if state.CompareAndSwap(waiting, started) {
			result <- job()
		}
	})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if state.CompareAndSwap(waiting, given) {
			return ctx.Err()
		}
	case <-vm.ended:
		if state.CompareAndSwap(waiting, given) {
			return ErrClosed
		}
	}
	return <-result
}
